"""Intervals at any confidence, against scipy and published examples."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from edgekd.bench.bootstrap import ProcessTimes, compare, median_interval
from edgekd.gates import intervals
from edgekd.gates.finding import fails, verdict
from edgekd.results import Accuracy, BenchFigures, Latency
from edgekd.statistics import mean_interval, normal_quantile, paired_share_interval


def row(p50: float, low: float, high: float, processes: int) -> BenchFigures:
    times = Latency(p50=p50, p90=p50, p99=p50, mean=p50, std=0, n=100, p50_low=low, p50_high=high)
    return BenchFigures(
        model="m.onnx", stage="student", seed=0, precision="int8", runtime="onnxruntime",
        device="local", threads=1, latency_us=times, load_ms=1, first_us=1, peak_rss_bytes=1,
        rss_growth_bytes=1, bytes=1, processes=processes,
    )  # fmt: skip


def of_medians(medians: np.ndarray) -> BenchFigures:
    """What a bench of processes with these medians says, were the runs of each without noise."""
    logs = np.log(medians)
    half = stats.t.ppf(0.975, len(logs) - 1) * logs.std(ddof=1) / np.sqrt(len(logs))
    centre = logs.mean()
    p50, low, high = (float(np.exp(end)) for end in (centre, centre - half, centre + half))
    return row(p50, low, high, len(logs))


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_an_accuracys_interval_is_wilsons(confidence: float):
    score = Accuracy(value=343 / 360, low=0, high=1, n=360, runtime="litert", split="test")
    wanted = stats.binomtest(343, 360).proportion_ci(confidence, method="wilson")
    assert intervals.of_score(score, confidence) == pytest.approx((wanted.low, wanted.high))


def test_other_scores_are_stretched_as_a_normal_error():
    score = Accuracy(
        value=0.8, low=0.7, high=0.85, n=50, runtime="litert", split="test", metric="r2"
    )
    assert intervals.of_score(score, 0.95) == pytest.approx((0.7, 0.85))
    factor = stats.norm.ppf(0.995) / stats.norm.ppf(0.975)
    wanted = (0.8 - 0.1 * factor, 0.8 + 0.05 * factor)
    assert intervals.of_score(score, 0.99) == pytest.approx(wanted)


def test_newcombes_example_of_two_samples():
    """Newcombe 1998, Statistics in Medicine 17, 873-890, table II (a): 56/70 - 48/80, method 10."""
    scores = [
        Accuracy(value=r / n, low=0, high=1, n=n, runtime="litert", split="test")
        for r, n in ((56, 70), (48, 80))
    ]
    ends = [intervals.of_score(score, 0.95) for score in scores]
    found = intervals.difference(scores[0].value, ends[0], scores[1].value, ends[1])
    assert found == pytest.approx((0.0524, 0.3339), abs=5e-5)


@pytest.mark.parametrize("confidence", [0.8, 0.95])
def test_paired_intervals_hold_the_truth_as_often_as_they_say(confidence: float):
    rng = np.random.default_rng(1)
    z, shares = normal_quantile(confidence), (0.85, 0.06, 0.04, 0.05)
    drawn = rng.multinomial(400, shares, 2000)
    ends = [paired_share_interval(int(b), int(f), int(s), 400, z) for b, f, s, _ in drawn]
    held = np.mean([low <= shares[1] - shares[2] <= high for low, high in ends])
    assert confidence - 0.02 < held < confidence + 0.05


def test_the_ratio_of_medians_is_welchs():
    rng = np.random.default_rng(2)
    new, old = rng.lognormal(3.0, 0.02, 6), rng.lognormal(2.95, 0.05, 9)
    centre, ends = intervals.ratio(of_medians(new), of_medians(old), 0.9)
    test = stats.ttest_ind(np.log(new), np.log(old), equal_var=False)
    wanted = test.confidence_interval(0.9)
    assert np.log(centre) == pytest.approx(np.log(new).mean() - np.log(old).mean())
    assert np.log(ends) == pytest.approx((wanted.low, wanted.high))


def test_the_ratio_is_that_of_edgekd_compare():
    rng = np.random.default_rng(3)

    def bench(level: float) -> list[ProcessTimes]:
        starts = level * rng.lognormal(0, 0.03, 8)
        return [
            ProcessTimes(
                n, 500, np.quantile(rng.lognormal(0, 0.01, 500) * s, np.linspace(0, 1, 101))
            )
            for n, s in enumerate(starts)
        ]

    old, new = bench(100), bench(112)
    rows = []
    for side in (new, old):
        p50 = float(np.exp(np.mean([np.log(process.median) for process in side])))
        rows.append(row(p50, *median_interval(p50, side), len(side)))
    centre, ends = intervals.ratio(rows[0], rows[1], 0.95)
    wanted = compare(old, new)
    assert centre == pytest.approx(wanted.ratio)
    assert ends == pytest.approx((wanted.low, wanted.high), rel=0.005)


def test_one_process_tells_nothing():
    one, many = row(10, 9.9, 10.1, 1), row(10, 9.9, 10.1, 5)
    assert intervals.ratio(one, many, 0.95)[1] == (0.0, np.inf)
    assert intervals.of_median(one, 0.95) == intervals.NOTHING
    apart = row(10, 0.001, 1e5, 2)  # two starts that have nothing to do with each other
    assert intervals.of_median(apart, 0.999)[1] < np.inf
    assert intervals.ratio(apart, apart, 0.999)[1][0] < 1e-9
    assert intervals.of_median(many, 0.95) == pytest.approx((9.9, 10.1), rel=2e-4)


def test_seeds_have_students_t():
    values = [0.91, 0.93, 0.95]
    wanted = stats.t.interval(0.8, 2, np.mean(values), stats.sem(values))
    assert mean_interval(values, 0.8)[1:] == pytest.approx(wanted)


def test_verdicts_by_hand():
    assert verdict(0.1, 0.3, 0.3) == "kept"
    assert verdict(0.31, 0.4, 0.3) == "failed"
    assert verdict(0.2, 0.4, 0.3) == "unverified"
    assert [fails(o, "pass") for o in ("kept", "failed", "unverified")] == [False, True, False]
    assert fails("unverified", "fail")
