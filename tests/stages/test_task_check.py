"""Settings that do not suit a task, the gate and the budget of each task's score."""

from __future__ import annotations

import pytest

from edgekd.config.pipeline import Pipeline
from edgekd.config.stages import Require
from edgekd.errors import ConfigError, StageError
from edgekd.results import Accuracy, MetricFigures, ModelFigures
from edgekd.stages.task_check import check_task
from edgekd.stages.teacher import check_gate
from edgekd.summary import budget, over_seeds, show


def pipeline(**settings) -> Pipeline:
    return Pipeline.model_validate({"name": "x", **settings})


SMOOTH = {"train": {"label_smoothing": 0.1}}


@pytest.mark.parametrize(
    ("task", "settings", "where"),
    [
        ("regression", {"teacher": {"require": {"accuracy": 0.9}}}, "teacher.require.accuracy"),
        ("multilabel", {"teacher": {"require": {"accuracy": 0.9}}}, "teacher.require.accuracy"),
        ("binary", {"budget": {"mae": 3}}, "budget.mae"),
        ("regression", {"teacher": SMOOTH}, "teacher.train.label_smoothing"),
        ("multilabel", {"distill": SMOOTH}, "distill.train.label_smoothing"),
        ("multilabel", {"quantize": SMOOTH}, "quantize.train.label_smoothing"),
        ("regression", {"prune": SMOOTH}, "prune.train.label_smoothing"),
        ("regression", {"finetune": SMOOTH}, "finetune.train.label_smoothing"),
    ],
)
def test_settings_of_another_task_are_refused(task, settings, where):
    with pytest.raises(ConfigError) as caught:
        check_task(pipeline(**settings), task)
    assert caught.value.where == where
    assert caught.value.fix
    fitting = "regression" if "budget" in settings else "classification"
    check_task(pipeline(**settings), fitting)


def score(value: float, metric: str, split: str = "validation", runtime: str = "torch"):
    return Accuracy(
        value=value, low=value - 0.1, high=1, n=100, runtime=runtime, split=split, metric=metric
    )


def test_the_gate_judges_every_tasks_score():
    check_gate(Require(score=0.5), score(0.5, "r2"), "teacher")
    check_gate(Require(), score(-3.0, "r2"), "teacher")
    with pytest.raises(StageError, match=r"reaches an R² of 0\.400 .* requires 0\.500") as caught:
        check_gate(Require(score=0.5), score(0.4, "r2"), "teacher")
    assert "require.score" in caught.value.fix
    with pytest.raises(StageError, match=r"a macro F1 of 61\.00% on validation"):
        check_gate(Require(score="70 %"), score(0.61, "macro_f1"), "teacher")
    with pytest.raises(StageError, match=r"reaches 61\.00% on"):
        check_gate(Require(score="70 %"), score(0.61, "accuracy"), "teacher")


def models(metric: str, seed: int = 0, mae: float | None = None) -> list[ModelFigures]:
    """A teacher with a score of 0.9 and a deployed student with one of 0.8."""
    common = {"seed": seed, "bytes": 1000, "parameters": 10, "macs": 10}
    metrics = []
    if mae is not None:
        metrics = [
            MetricFigures(
                name="mae", target=target, value=value, low=0, high=9, n=100, runtime="litert",
                split="test", unit="raw",
            )
            for target, value in (("", mae), ("a", 99.0))
        ]  # fmt: skip
    return [
        ModelFigures(
            stage="teacher", format="torch", precision="float32", path="t/model.safetensors",
            accuracy=score(0.9, metric, "test"), **common,
        ),
        ModelFigures(
            stage="student", format="tflite", precision="int8", path="e/student.tflite",
            accuracy=score(0.8, metric, "test", "litert"), metrics=metrics, **common,
        ),
    ]  # fmt: skip


def test_budgets_name_the_score_and_limit_the_error():
    limits = {"accuracy": 0.85, "accuracy_drop": 0.2, "mae": 5.0}
    of = pipeline(quantize="qat", budget=limits)
    rows = {row.name: row for row in budget(of, models("r2", mae=4.0), [])}
    assert set(rows) == {"R²", "R² drop", "MAE"}
    assert [(row.unit, row.ok) for row in rows.values()] == [
        ("score", False),
        ("score", True),
        ("raw", True),
    ]
    assert (rows["MAE"].value, rows["R² drop"].value) == (4.0, pytest.approx(0.1))
    assert not budget(of, models("r2", mae=5.5), [])[-1].ok
    names = [row.name for row in budget(of, models("macro_f1"), [])]
    assert names == ["macro F1", "macro F1 drop"]
    assert budget(of, models("macro_f1"), [])[0].unit == "fraction"
    assert (show(0.8123, "score"), show(4.0, "raw")) == ("0.8123", "4")


def test_scores_are_averaged_over_seeds_by_their_name():
    every = [m for seed in (0, 1) for m in models("r2", seed, mae=4.0 + seed)]
    rows = {row.name: row.mean for row in over_seeds(every, [])}
    assert rows["test R² of teacher, torch, float32"] == pytest.approx(0.9)
    assert rows["test MAE of student, tflite, int8"] == pytest.approx(4.5)
