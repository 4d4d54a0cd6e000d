"""What a run tells TensorBoard and MLflow, read back by their own readers."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

import edgekd
from edgekd.errors import ConfigError
from edgekd.mlflow_client import QUICK
from edgekd.progress import Epoch, Progress
from edgekd.tracking import Tracked, final_numbers, tracked
from edgekd.train.history import History

sys.path.append(str(Path(__file__).resolve().parent / "report"))
from report_example import example_summary

RAW: dict[str, Any] = {
    "name": "wine",
    "data": {"source": "table", "sklearn": "wine"},
    "teacher": {"model": "tablemlp", "train": {"epochs": 3}, "require": {"accuracy": 0}},
    "student": "mlp",
    "distill": {"method": "kd", "train": {"epochs": 2}},
}


class Told(Progress):
    def __init__(self) -> None:
        self.messages: list[str] = []

    def message(self, text: str) -> None:
        self.messages.append(text)


def run(folder: Path, track: str | None, progress: Progress | None = None) -> edgekd.RunResult:
    raw = RAW | {"track": track}
    return edgekd.run(raw, until="distill", runs=folder, progress=progress or Progress())


@pytest.fixture(scope="module")
def untracked(tmp_path_factory: pytest.TempPathFactory) -> edgekd.RunResult:
    return run(tmp_path_factory.mktemp("plain"), None)


def expected(result: edgekd.RunResult) -> dict[str, list[tuple[int, float]]]:
    """Steps and values by name, from what the stages themselves kept."""
    found: dict[str, list[tuple[int, float]]] = {}
    for stage in result.summary.stages:
        if (result.folder / stage.folder / "history.json").is_file():
            epochs = History.load(result.folder / stage.folder).epochs
            found[f"{stage.name}/loss"] = [(e.epoch, e.loss) for e in epochs]
            found[f"{stage.name}/accuracy"] = [(e.epoch, e.validation_accuracy) for e in epochs]
    for model in result.summary.models:
        name = f"{model.stage}@0/float32-torch"
        assert model.accuracy is not None
        found[f"{name}/test_accuracy"] = [(0, model.accuracy.value)]
        found[f"{name}/bytes"] = [(0, model.bytes)]
    return found


def keys(result: edgekd.RunResult) -> dict[str, str]:
    return {stage.name: stage.key for stage in result.summary.stages}


def test_tensorboards_own_reader_finds_every_epoch_and_figure(tmp_path, untracked):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = run(tmp_path, "tensorboard")
    (folder,) = (result.folder / "tensorboard").iterdir()
    events = EventAccumulator(str(folder)).Reload()
    wanted = expected(result)
    assert {"teacher/loss", "distill/accuracy"} <= wanted.keys()
    assert set(events.Tags()["scalars"]) == wanted.keys()
    for name, points in wanted.items():
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert [step for step, _ in found] == [step for step, _ in points]
        assert [value for _, value in found] == pytest.approx([v for _, v in points], rel=1e-6)
    assert len(events.Tags()["tensors"]) == len(result.summary.stages)
    assert keys(result) == keys(untracked), "it is in no key"
    assert not (untracked.folder / "tensorboard").exists()
    assert all(stage.cached for stage in run(tmp_path, None).summary.stages)


@pytest.mark.slow
def test_mlflow_has_a_run_with_every_epoch_and_figure(tmp_path, untracked, monkeypatch):
    from mlflow import MlflowClient

    monkeypatch.chdir(tmp_path)
    for variable in QUICK:
        monkeypatch.setenv(variable, QUICK[variable])
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    told = Told()
    result = run(tmp_path / "runs", "mlflow", told)
    assert not any("without MLflow" in text for text in told.messages), told.messages
    client = MlflowClient(f"sqlite:///{tmp_path}/mlflow.db")
    experiment = client.get_experiment_by_name("wine")
    assert experiment is not None
    (made,) = client.search_runs([experiment.experiment_id])
    assert made.info.status == "FINISHED"
    wanted = {name.replace("@", "-"): points for name, points in expected(result).items()}
    assert made.data.metrics.keys() == wanted.keys()
    for name, points in wanted.items():
        history = client.get_metric_history(made.info.run_id, name)
        assert [(each.step, each.value) for each in history] == points
    tags = {f"key/{name}": key for name, key in keys(untracked).items()}
    assert tags.items() <= made.data.tags.items()
    assert "wine" not in str(made.data.params), "nothing of the data"


def test_a_server_that_is_not_there_is_told_once_and_ends_nothing(tmp_path, untracked, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:1")
    told = Told()
    result = run(tmp_path, "mlflow", told)
    assert keys(result) == keys(untracked)
    (warning,) = [text for text in told.messages if "MLflow" in text]
    assert warning.startswith("warning: the run goes on without MLflow") and "127.0.0.1" in warning


class Lists:
    """A tracker that breaks after some numbers."""

    def __init__(self, after: int = 99) -> None:
        self.numbers: list[tuple[str, float, int]] = []
        self.after = after
        self.status = ""

    def number(self, name: str, value: float, step: int) -> None:
        if len(self.numbers) == self.after:
            raise ConnectionError("the server\nis gone")
        self.numbers.append((name, value, step))

    def text(self, name: str, text: str) -> None:
        raise AssertionError("it is closed")

    def close(self, status: str) -> None:
        self.status = status


def trained(to: Tracked) -> None:
    to.stage_started("prune")
    for number in (1, 2, 1, 2, 3):
        loss = float("nan") if number == 3 else 0.5
        to.epoch(Epoch(number, 3, loss=loss, score=0.25, seconds=1.0, metric="r2"))


def test_several_trainings_of_a_stage_are_counted_on_and_nothing_infinite_is_told():
    lists = Lists()
    trained(Tracked(Progress(), "X", lambda: lists))
    scores = [(value, step) for name, value, step in lists.numbers if name == "prune/r2"]
    assert scores == [(0.25, step) for step in (1, 2, 3, 4, 5)]
    assert [step for name, _, step in lists.numbers if name == "prune/loss"] == [1, 2, 3, 4]


def test_one_that_breaks_in_the_middle_is_told_once():
    told, lists = Told(), Lists(after=3)
    to = Tracked(told, "X", lambda: lists)
    trained(to)
    to.summary(example_summary())
    to.close("FINISHED")
    assert told.messages == ["warning: the run goes on without X: the server is gone"]
    assert len(lists.numbers) == 3 and lists.status == ""


def test_final_numbers_are_the_summarys():
    summary = example_summary()
    found = final_numbers(summary)
    for model in summary.models:
        name = f"{model.stage}@{model.seed}/{model.precision}-{model.format}"
        assert found[f"{name}/bytes"] == model.bytes
    timed = [row for row in summary.bench if row.latency_us is not None]
    latencies = {name: value for name, value in found.items() if name.endswith("p50_us")}
    assert len(latencies) == len(timed) > 0
    assert set(latencies.values()) == {row.latency_us.p50 for row in timed if row.latency_us}


@pytest.mark.parametrize(
    ("error", "status"), [(KeyboardInterrupt, "KILLED"), (ValueError, "FAILED")]
)
def test_how_a_run_ended(tmp_path, monkeypatch, error, status):
    lists = Lists()
    monkeypatch.setattr("edgekd.tracking.TensorBoard", lambda folder: lists)
    pipeline, _ = edgekd.pipeline.resolve(RAW | {"track": "tensorboard"})
    with pytest.raises(error), tracked(pipeline, tmp_path, Progress()):
        raise error
    assert lists.status == status


def test_a_library_that_is_missing_is_told_before_anything_is_made(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ConfigError, match="track: tensorboard") as caught:
        run(tmp_path, "tensorboard")
    assert "edgekd[tensorboard]" in caught.value.fix
    assert not (tmp_path / "wine").exists()
