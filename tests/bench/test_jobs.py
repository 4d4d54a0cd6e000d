"""Benchmarks: what is measured, how often, and that the figures are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import f1_score, mean_absolute_error, r2_score
from tiny_models import Tiny

from edgekd.bench.jobs import BenchModel, bench_file, measure
from edgekd.bench.rounds import thread_counts
from edgekd.bench.visit import measuring_length
from edgekd.config.stages import BenchSettings
from edgekd.devices import LocalDevice
from edgekd.errors import ConfigError, DataError, EdgekdError
from edgekd.progress import Progress
from edgekd.results import BenchFigures
from edgekd.runtimes import load
from edgekd.statistics import wilson_interval

SHORT = BenchSettings(min_runs=20, min_seconds=0.01)


@pytest.fixture(scope="module")
def tiny():
    return Tiny(mean=2.0, std=3.0)


class Steps(Progress):
    def __init__(self):
        self.seen: list[tuple[int, int]] = []

    def step(self, done: int, total: int, what: str) -> None:
        assert what == "benchmarks"
        self.seen.append((done, total))


@pytest.fixture
def sent(monkeypatch) -> list[dict[str, Any]]:
    """The jobs that devices got, while they run them."""
    seen: list[dict[str, Any]] = []
    run = LocalDevice.run

    def spy(self, job, timeout):
        seen.append(job)
        return run(self, job, timeout)

    monkeypatch.setattr(LocalDevice, "run", spy)
    return seen


def bench_models(tiny: Tiny, folder: Path) -> list[BenchModel]:
    folder.mkdir(parents=True, exist_ok=True)
    return [
        BenchModel(tiny.write(folder, form, precision), "student", 3, precision, form)
        for form, precision in (("onnx", "float32"), ("tflite", "int8"))
    ]


def test_every_file_in_its_runtime_with_every_thread_count(tmp_path, tiny, sent, monkeypatch):
    monkeypatch.setattr(LocalDevice, "state", lambda self: {"cores": 2})
    models = bench_models(tiny, tmp_path / "export-1")
    x = tiny.samples(90)
    y = np.random.default_rng(0).integers(0, 4, 90)
    steps = Steps()
    rows = measure(models, SHORT, test=(x, y), run_folder=tmp_path, progress=steps)
    assert [(r.model, r.runtime, r.threads) for r in rows] == [
        ("export-1/float32.onnx", "onnxruntime", 1),
        ("export-1/int8.tflite", "litert", 1),
        ("export-1/float32.onnx", "onnxruntime", 2),
        ("export-1/int8.tflite", "litert", 2),
    ]
    assert steps.seen == [(n, 4) for n in range(5)]
    assert [("outputs" in job) for job in sent] == [True, True, False, False]
    assert all("inputs" in job for job in sent)
    for row in rows:
        path = tmp_path / row.model
        right = int((load(path).run(x).argmax(-1) == y).sum())
        assert row.accuracy is not None and row.accuracy.value == right / 90
        assert (row.accuracy.low, row.accuracy.high) == wilson_interval(right, 90)
        assert (row.accuracy.n, row.accuracy.split) == (90, "test")
        assert row.accuracy.runtime == row.runtime
        assert row.bytes == path.stat().st_size
        assert (row.stage, row.seed, row.device) == ("student", 3, "local")
        assert row.latency_us.n >= 20
        assert row.latency_us.p50 <= row.latency_us.p90 <= row.latency_us.p99
        assert BenchFigures.model_validate_json(row.model_dump_json()) == row


@pytest.mark.parametrize(
    ("threads", "cores", "counts"),
    [((1, "all"), 8, [1, 8]), ((1, "all"), 1, [1]), (("all", 4, 2), 4, [4, 2]), ((2, 2), 4, [2])],
)
def test_thread_counts(threads, cores, counts):
    assert thread_counts(BenchSettings(threads=threads), cores) == counts


def test_how_long_is_measured():
    usual = measuring_length(BenchSettings())
    warm = {"warmup_seconds": pytest.approx(0.6), "warmup_runs": 1}
    assert usual == {"min_runs": 200, "min_seconds": 3.0, **warm}
    quick = measuring_length(BenchSettings(quick=True))
    assert quick == {"min_runs": 50, "min_seconds": 0.3, "warmup_seconds": 0.05, "warmup_runs": 1}
    shared = measuring_length(BenchSettings(processes=3, max_seconds=6, warmup_runs=9))
    warm = {"warmup_seconds": pytest.approx(0.6), "warmup_runs": 9}
    assert shared == {"min_runs": 67, "min_seconds": 1.0, "max_seconds": 2.0, **warm}


def test_only_the_runtimes_that_are_asked_for(tmp_path, tiny):
    models = bench_models(tiny, tmp_path)
    settings = BenchSettings(min_runs=5, min_seconds=0.01, runtimes=("litert",), threads=(1,))
    rows = measure(models, settings, run_folder=tmp_path)
    assert [row.runtime for row in rows] == ["litert"]
    assert rows[0].accuracy is None
    with pytest.raises(ConfigError, match="None of the 1 files runs in litert"):
        measure(models[:1], settings, run_folder=tmp_path)


def test_unknown_device(tmp_path, tiny):
    settings = BenchSettings(devices=("locl",))
    with pytest.raises(ConfigError, match="no file locl") as caught:
        measure(bench_models(tiny, tmp_path), settings, run_folder=tmp_path)
    assert "local" in caught.value.fix


def test_a_device_file_lies_beside_the_pipeline_file(tmp_path, tiny):
    (tmp_path / "board.yaml").write_text("name: board\n")
    settings = BenchSettings(devices=("board.yaml",), min_runs=5, min_seconds=0.01, threads=(1,))
    models = bench_models(tiny, tmp_path)[:1]
    (row,) = measure(models, settings, run_folder=tmp_path, base=tmp_path)
    assert row.device == "board"
    with pytest.raises(ConfigError, match="no file board"):
        measure(models, settings, run_folder=tmp_path)


ONE = BenchSettings(min_runs=5, min_seconds=0.01, threads=(1,))


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_a_foreign_file(tmp_path, tiny, form, monkeypatch):
    path = tiny.write(tmp_path, form, "float32", None)
    monkeypatch.chdir(tmp_path)
    (row,) = bench_file(path, ONE)
    assert row.accuracy is None and row.model == path.name and row.latency_us.n >= 5


@pytest.mark.parametrize("names", [("x", "y"), ("x_test", "y_test")])
@pytest.mark.parametrize("words", [False, True])
def test_accuracy_on_raw_data(tmp_path, tiny, names, words):
    path = tiny.write(tmp_path, "onnx", "float32")
    x = tiny.samples(60)
    y = tiny.logits(x).argmax(-1)
    y[:15] = (y[:15] + 1) % 4
    raw = np.moveaxis(x, 1, -1) * 3 + 2
    labels = np.array([f"class{i}" for i in y]) if words else y
    np.savez(tmp_path / "data.npz", **{names[0]: raw, names[1]: labels})
    (row,) = bench_file(path, ONE, tmp_path / "data.npz")
    assert row.accuracy is not None
    assert row.accuracy.value == 45 / 60 and row.precision == "float32"


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((2, 2, 2, 3))}, "no array y"),
        ({"x": np.zeros((2, 9)), "y": [0, 1]}, "no input of this model"),
        ({"x": np.zeros((2, 2, 2, 3)), "y": [0]}, "2 samples and 1 labels"),
        ({"x": np.zeros((2, 2, 2, 3)), "y": [0, 4]}, "from 0 to 4, the model knows 0 to 3"),
        ({"x": np.zeros((2, 2, 2, 3)), "y": [-1, 1]}, "from -1 to 1"),
        ({"x": np.zeros((2, 2, 2, 3)), "y": ["class0", "cat"]}, "the label 'cat'"),
        ({"x": np.zeros((2, 2, 2, 3)), "y": [0.5, 1.0]}, "float64 are neither"),
        ({"x": np.zeros((2, 2, 2, 3)), "y": [[0], [1]]}, "not one for each"),
        ({"x": np.zeros((2, 2, 2, 3)), "y": np.array([{}, 1])}, "cannot be read"),
        (None, "cannot be read"),
    ],
)
def test_data_that_does_not_fit(tmp_path, tiny, arrays, words):
    data = tmp_path / "data.npz"
    if arrays is None:
        data.write_bytes(b"no archive")
    else:
        np.savez(data, **arrays)
    with pytest.raises(DataError, match=words) as caught:
        bench_file(tiny.write(tmp_path, "onnx", "float32"), ONE, data)
    assert "data.npz" in caught.value.where


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(ConfigError, match="neither"):
        bench_file(tmp_path / "a.pt", ONE)
    (tmp_path / "a.tflite").write_bytes(b"\x00\x00\x00\x70TFL3")
    with pytest.raises(EdgekdError, match="damaged"):
        bench_file(tmp_path / "a.tflite", ONE)


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_scores_of_other_tasks_on_raw_data(tmp_path, form):
    tiny = Tiny(shape=(4,), classes=3, mean=2.0, std=3.0)
    x = tiny.samples(80)
    logits = tiny.logits(x)
    statistics = {"target_mean": (10.0, 20.0, 30.0), "target_std": (1.0, 2.0, 3.0)}
    noisy = logits + np.random.default_rng(0).normal(0, 0.5, logits.shape)
    for task, update, y in (
        ("multilabel", {}, noisy > 0),
        ("regression", statistics, noisy * (1, 2, 3) + (10, 20, 30)),
    ):
        tiny.spec = tiny.spec.model_copy(update={"task": task, **update})
        path = tiny.write(tmp_path, form, "float32")
        np.savez(tmp_path / "data.npz", x=x * 3 + 2, y=y)
        (row,) = bench_file(path, ONE, tmp_path / "data.npz")
        assert row.accuracy is not None and row.accuracy.runtime == row.runtime
        names = {metric.name: metric.value for metric in row.metrics if not metric.target}
        if task == "multilabel":
            expected = f1_score(y, logits > 0, average="macro")
        else:
            expected = r2_score(y, logits * (1, 2, 3) + (10, 20, 30))
            error = mean_absolute_error(y, logits * (1, 2, 3) + (10, 20, 30))
            assert names["mae"] == pytest.approx(error, rel=1e-3)
        assert row.accuracy.value == pytest.approx(expected, abs=1e-3)
        assert names[row.accuracy.metric] == row.accuracy.value
        np.savez(tmp_path / "data.npz", x=x * 3 + 2, y=y[:, :2])
        with pytest.raises(DataError, match="2 targets a sample, and the model gives 3"):
            bench_file(path, ONE, tmp_path / "data.npz")
