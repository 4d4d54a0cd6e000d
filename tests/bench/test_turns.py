"""Files in turns of milliseconds: verdicts hold on a machine that drifts and is disturbed, shown on
made-up blocks; and the real thing.
"""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from tiny_models import Tiny

from edgekd.bench.bootstrap import Comparison
from edgekd.bench.compare import notes, within
from edgekd.bench.jobs import bench_files
from edgekd.bench.turns import comparable, compare_turns, process_log_ratio
from edgekd.config.stages import BenchSettings
from edgekd.devices import LocalDevice
from edgekd.errors import StageError

TURNS = 40
PLACE, BLOCK, LATER = 0.01, 0.04, 0.03
"""Of the logarithm: how a file's place in memory differs by process, how a block differs from its
neighbour (both Student's t with 3 degrees of freedom, scaled), and what it costs to come second."""


def process(generator: np.random.Generator, ratio: float) -> tuple[list[float], list[float]]:
    """Blocks of two files while the machine drifts, by steps and steadily, and is slowed at times
    by something else, to the double.
    """
    wander = np.cumsum(0.03 * generator.standard_normal(2 * TURNS))
    wander += np.linspace(0, 0.3 * generator.standard_normal(), 2 * TURNS)
    slow = np.repeat(generator.random(TURNS // 2) < 0.2, 4) * math.log(2)
    logs = wander + slow + BLOCK * generator.standard_t(3, 2 * TURNS) / math.sqrt(3)
    logs[1::2] += LATER
    files = np.empty((2, TURNS))
    for turn in range(TURNS):  # A B, B A, B A, A B and so on
        ahead = (turn + turn // 2) % 2
        files[ahead, turn], files[1 - ahead, turn] = logs[2 * turn : 2 * turn + 2]
    files[1] += math.log(ratio) + PLACE * generator.standard_t(3) / math.sqrt(3)
    first, second = 50 * np.exp(files)
    return first.tolist(), second.tolist()


def session(generator: np.random.Generator, processes: int, ratio: float = 1.0):
    made = [process(generator, ratio) for _ in range(processes)]
    return [one for one, _ in made], [other for _, other in made]


def compared(tries: int, processes: int, confidence: float, ratio: float = 1.0) -> list[Comparison]:
    generator = np.random.default_rng(11)
    sessions = (session(generator, processes, ratio) for _ in range(tries))
    return [compare_turns(a, b, confidence) for a, b in sessions]


@pytest.mark.parametrize("processes", [2, 3, 5, 10])
@pytest.mark.parametrize("ratio", [1.0, 1.2])
def test_the_interval_holds_the_truth(processes, ratio):
    found = compared(300, processes, 0.9, ratio)
    missed = sum(not f.low < ratio < f.high for f in found)
    assert 0 < missed <= stats.binom.ppf(0.999, 300, 0.1)


def test_two_hundred_comparisons_of_a_file_with_itself():
    verdicts = [f.verdict for f in compared(200, 5, 0.99)]
    assert sum(v != "no difference shown" for v in verdicts) <= 5


def test_a_file_five_percent_slower_is_found():
    assert sum(f.verdict == "slower" for f in compared(40, 5, 0.99, 1.05)) >= 36
    assert sum(f.verdict == "faster" for f in compared(40, 4, 0.95, 1 / 1.05)) >= 36


def test_without_neighbours_it_is_not_found():
    """Why blocks are paired: the same blocks, but each process's medians compared."""
    generator = np.random.default_rng(11)
    found = 0
    for _ in range(100):
        sides = session(generator, 5, 1.05)
        logs = [[math.log(np.median(blocks)) for blocks in side] for side in sides]
        found += stats.mannwhitneyu(logs[0], logs[1]).pvalue < 0.01
    assert found < 20


def test_the_interval_is_students_over_processes():
    a, b = session(np.random.default_rng(2), 6, 1.1)
    values = []
    for one, other in zip(a, b, strict=True):
        values.append(stats.scoreatpercentile(np.log(np.divide(other, one)), 50))
    low, high = stats.t.interval(0.95, 5, np.mean(values), stats.sem(values))
    found = compare_turns(a, b, 0.95)
    assert (found.ratio, found.low, found.high) == pytest.approx(
        (math.exp(np.mean(values)), math.exp(low), math.exp(high))
    )
    assert (found.pairs, found.blocks) == (6, 6 * TURNS)


times = st.lists(st.floats(1.0, 1e6), min_size=4, max_size=4)
sides = st.lists(st.tuples(times, times), min_size=2, max_size=5).map(
    lambda made: ([a for a, _ in made], [b for _, b in made])
)


@settings(max_examples=50, deadline=None)
@given(sides, st.floats(0.1, 10))
def test_what_hits_neighbours_alike_changes_nothing(files, factor):
    a, b = files
    slower = np.geomspace(1, factor, 4)  # a drift within each process
    found = compare_turns(a, b)
    moved = compare_turns((np.array(a) * slower).tolist(), (np.array(b) * slower).tolist())
    assert (moved.ratio, moved.low, moved.high) == pytest.approx(
        (found.ratio, found.low, found.high), rel=1e-6
    )


@settings(max_examples=50, deadline=None)
@given(sides)
def test_the_other_way_round_is_the_inverse(files):
    a, b = files
    there, back = compare_turns(a, b), compare_turns(b, a)
    assert (1 / back.ratio, 1 / back.high, 1 / back.low) == pytest.approx(
        (there.ratio, there.low, there.high), rel=1e-6
    )
    assert compare_turns(a, a).verdict == "no difference shown"
    wide = compare_turns(a, b, 0.99)
    assert wide.low <= there.low <= there.ratio <= there.high <= wide.high


def test_a_steady_drift_and_coming_second_cancel():
    place = np.arange(8.0)
    logs = 0.1 * place + 0.05 * (place % 2)  # A B B A A B B A: neighbours, two a turn
    first, second = logs[[0, 3, 4, 7]], logs[[1, 2, 5, 6]]
    assert process_log_ratio(np.exp(first).tolist(), np.exp(second).tolist()) == pytest.approx(0)


@pytest.mark.parametrize(
    ("first", "second", "able"),
    [
        ([[1, 1], [1, 1]], [[2, 2], [2, 2]], True),
        ([[1, 1]], [[2, 2]], False),
        ([[1, 1], [1, 1]], [[2, 2], [2, 2, 2, 2]], False),
        ([[1], [1]], [[2], [2]], False),
        ([[], []], [[], []], False),
        ([], [[2, 2], [2, 2]], False),
    ],
)
def test_what_can_be_compared(first, second, able):
    assert comparable(first, second) is able


def files(folder: Path) -> list[Path]:
    """Two TFLite files, and one for the other runtime."""
    tiny = Tiny()
    paths = [tiny.write(folder, form, "int8") for form in ("tflite", "onnx")]
    shutil.copy(paths[0], folder / "twin.tflite")
    return [paths[0], folder / "twin.tflite", paths[1]]


SHORT = {"min_runs": 20, "min_seconds": 0.06, "processes": 3}


def test_files_of_a_runtime_take_turns_on_one_thread(tmp_path, monkeypatch):
    jobs: list[dict] = []
    run = LocalDevice.run
    monkeypatch.setattr(
        LocalDevice, "run", lambda self, job, limit: jobs.append(job) or run(self, job, limit)
    )
    settings = BenchSettings(threads=(1, 2), **{**SHORT, "processes": 2})
    result = bench_files(files(tmp_path), settings)
    hosts = [
        (Path(job["model"]).name, [Path(one["model"]).name for one in job["turns"]["others"]])
        for job in jobs
        if "turns" in job
    ]
    one, other = "int8.tflite", "twin.tflite"
    assert hosts == [(one, [other]), (other, [one])]
    blocks = {(Path(row.model).name, row.threads): row.blocks_us for row in result.rows}
    assert [len(own) for own in blocks.values()] == [2, 2, 0, 0, 0, 0]
    assert comparable(blocks[one, 1], blocks[other, 1])

    pairs = within(result, 0.95)
    assert [(p.second.threads, p.times.blocks > 0) for p in pairs] == [
        (1, True), (2, False), (1, False), (2, False),
    ]  # fmt: skip
    assert sum("only processes took turns" in note for note in notes(pairs)) == 1
    assert not any("only processes" in note for note in notes(pairs[:1]))
    again = type(result).model_validate_json(result.model_dump_json())
    assert within(again, 0.95)[0].times == pairs[0].times


def test_one_process_or_one_file_takes_no_turns(tmp_path):
    paths = files(tmp_path)[:2]
    lone = bench_files(paths[:1], BenchSettings(threads=(1,), **SHORT))
    once = bench_files(paths, BenchSettings(threads=(1,), **{**SHORT, "processes": 1}))
    assert [row.blocks_us for row in lone.rows + once.rows] == [[], [], []]


@pytest.mark.parametrize(
    "answer",
    [None, [[1.0], [1.0, 2.0]], [[1.0], ["x"]], [[1.0], [0.0]]],
)
def test_an_answer_that_holds_no_times(tmp_path, monkeypatch, answer):
    run = LocalDevice.run

    def spoilt(self, job, limit):
        return run(self, job, limit) | ({"blocks_us": answer} if "turns" in job else {})

    monkeypatch.setattr(LocalDevice, "run", spoilt)
    with pytest.raises(StageError, match="not whole"):
        bench_files(files(tmp_path)[:2], BenchSettings(threads=(1,), **SHORT))
