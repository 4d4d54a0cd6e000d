"""Intervals and verdicts: right under variation between processes, shown on made-up latencies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from edgekd.bench import bootstrap
from edgekd.bench.bootstrap import Comparison, ProcessTimes, compare, median_interval

BETWEEN, WITHIN = 0.01, 0.03
"""Standard deviations of the logarithm: of the starts of a program, and of its runs."""


def process(generator, round_, shift=0.0, runs=200, between=BETWEEN) -> ProcessTimes:
    """Runs around 100 µs with an effect of their process, and with some far slower ones."""
    speed = math.log(100) + shift + between * generator.standard_normal()
    us = np.exp(speed + WITHIN * np.abs(generator.standard_normal(runs)))
    us[generator.random(runs) < 0.02] *= 5
    return ProcessTimes(round_, runs, np.percentile(us, range(101)))


def session(generator, processes, ratio=1.0, drift=0.0) -> tuple[list, list]:
    """Two files measured taking turns, while the machine drifts from round to round."""
    rounds = drift * generator.standard_normal(processes)
    first = [process(generator, i, rounds[i]) for i in range(processes)]
    second = [process(generator, i, rounds[i] + math.log(ratio)) for i in range(processes)]
    return first, second


@pytest.fixture(autouse=True)
def _few_draws(monkeypatch):
    monkeypatch.setattr(bootstrap, "DRAWS", 300)


def claims(tries, confidence, *, paired, **made) -> list[str]:
    generator = np.random.default_rng(7)
    sessions = (session(generator, **made) for _ in range(tries))
    return [compare(a, b, confidence=confidence, paired=paired).verdict for a, b in sessions]


def most(tries: int, share: float) -> int:
    """What a rate of `share` stays within in 999 of 1000 such tests."""
    return int(stats.binom.ppf(0.999, tries, share))


@pytest.mark.parametrize("processes", [3, 5, 10])
@pytest.mark.parametrize("paired", [True, False])
def test_the_same_file_twice_is_seldom_called_different(processes, paired):
    verdicts = claims(300, 0.95, paired=paired, processes=processes)
    assert sum(v != "no difference shown" for v in verdicts) <= most(300, 0.05)
    assert len(set(verdicts)) > 1, "a test that never claims anything proves nothing"


def test_two_hundred_comparisons_of_a_file_with_itself():
    verdicts = claims(200, 0.99, paired=True, processes=10, drift=0.05)
    assert sum(v != "no difference shown" for v in verdicts) <= 5


def test_a_file_five_percent_slower_is_found():
    verdicts = claims(40, 0.99, paired=True, processes=10, drift=0.05, ratio=1.05)
    assert verdicts.count("slower") >= 36
    verdicts = claims(40, 0.95, paired=True, processes=5, drift=0.05, ratio=1 / 1.05)
    assert verdicts.count("faster") >= 36


def test_runs_alone_would_claim_far_too_much():
    """Why processes are resampled: pooled runs call most of these different."""
    generator = np.random.default_rng(7)
    wrong = 0
    for _ in range(100):
        a, b = session(generator, 5)
        pooled = [np.concatenate([np.asarray(p.quantiles) for p in side]) for side in (a, b)]
        wrong += stats.mannwhitneyu(*pooled).pvalue < 0.01
    assert wrong > 30


def test_the_interval_holds_the_truth():
    generator = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        found = compare(*session(generator, 4, ratio=1.2), confidence=0.9)
        held += found.low < 1.2 < found.high
    assert 300 - held <= most(300, 0.1)
    assert held < 300


def test_turns_cancel_what_hits_both():
    generator = np.random.default_rng(1)
    a, b = session(generator, 6, ratio=1.1, drift=0.3)
    together, apart = compare(a, b, paired=True), compare(a, b)
    assert together.ratio == pytest.approx(apart.ratio)
    assert together.verdict == "slower" and together.pairs == 6
    assert apart.verdict == "no difference shown" and apart.pairs == 0


def test_the_interval_is_students_where_runs_do_not_vary():
    """Without variation of runs, the paired bootstrap is Student's t of the logarithms."""
    logs = np.array([0.02, 0.05, -0.01, 0.03, 0.06])
    first = [ProcessTimes(i, 99, [100.0, 100.0]) for i in range(5)]
    second = [ProcessTimes(i, 99, [100 * math.exp(v)] * 2) for i, v in enumerate(logs)]
    bootstrap.DRAWS = 50_000
    found = compare(first, second, confidence=0.95, paired=True)
    low, high = stats.t.interval(0.95, 4, logs.mean(), stats.sem(logs))
    assert found.ratio == pytest.approx(math.exp(logs.mean()))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)), rel=1e-3)


def test_rounds_that_only_one_side_has_are_left_out():
    generator = np.random.default_rng(1)
    a, b = session(generator, 5)
    assert compare(a, b[1:], paired=True).pairs == 4


@pytest.mark.parametrize("paired", [True, False])
def test_one_process_shows_nothing(paired):
    generator = np.random.default_rng(0)
    a, b = session(generator, 1, ratio=3)
    found = compare(a, b, paired=paired)
    assert found.ratio == pytest.approx(3, rel=0.1)
    assert found.verdict == "no difference shown" and math.isinf(found.high)


def test_equal_times_are_not_different():
    same = [ProcessTimes(i, 10, [5.0, 5.0]) for i in range(5)]
    found = compare(same, same, paired=True)
    assert found.verdict == "no difference shown"
    assert (found.low, found.high) == pytest.approx((1, 1))


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(1.01, 1.2, "slower"), (0.8, 0.99, "faster"), (0.9, 1.1, "no difference shown")],
)
def test_verdicts(low, high, verdict):
    assert Comparison(1.0, low, high, 0.95, 5).verdict == verdict


@pytest.mark.parametrize("runs", [20, 201])
def test_medians_are_resampled_as_by_drawing(runs):
    """The shortcut through the Beta distribution against the bootstrap itself."""
    generator = np.random.default_rng(2)
    us = np.sort(generator.lognormal(4, 0.2, runs))
    chosen = np.zeros(20_000, np.int64)
    quick = np.exp(bootstrap.resampled_medians([ProcessTimes(0, runs, us)], chosen, generator))
    drawn = np.median(us[generator.integers(0, runs, (20_000, runs))], axis=1)
    wanted = [5, 25, 50, 75, 95]
    np.testing.assert_allclose(
        np.percentile(quick, wanted), np.percentile(drawn, wanted), rtol=0.02
    )


def test_the_interval_of_one_process_is_of_its_runs():
    generator = np.random.default_rng(2)
    us = generator.lognormal(4, 0.2, 2000)
    low, high = median_interval(float(np.median(us)), [ProcessTimes(0, 2000, np.sort(us))])
    exact = stats.bootstrap((us,), np.median, n_resamples=500, method="percentile")
    assert (low, high) == pytest.approx(exact.confidence_interval, rel=0.01)
    bootstrap.DRAWS = 2000
    several = [process(generator, i, between=0.05) for i in range(5)]
    low, high = median_interval(100.0, several)
    assert low < 100 < high and high / low > 1.05
