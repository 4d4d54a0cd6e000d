"""Whether a pipeline's settings suit its data, which is known once the data is read."""

from __future__ import annotations

from collections.abc import Iterator

from edgekd.config.methods import (
    COMPARE_CLASSES,
    NEED_LABELS,
    LabelsSettings,
    MutualSettings,
    OneMethod,
    parts_of,
)
from edgekd.config.pipeline import Pipeline
from edgekd.config.training import TrainSettings
from edgekd.distill.suited import suited
from edgekd.errors import ConfigError
from edgekd.spec import HEADLINE, Task
from edgekd.tasks.names import title


def check_task(pipeline: Pipeline, task: Task) -> None:
    """Refuses settings that mean nothing, or something else, for the task.

    Raises:
        ConfigError: names the field.
    """
    score = HEADLINE[task]
    if score != "accuracy" and any(t.require.accuracy > 0 for t in pipeline.all_teachers):
        raise ConfigError(
            f"A {task} has no accuracy; it is judged by its {title(score)}.",
            where="teacher.require.accuracy",
            fix="give the least score as teacher.require.score",
        )
    if pipeline.budget.mae is not None and task != "regression":
        raise ConfigError(
            f"A {task} has no mean absolute error.",
            where="budget.mae",
            fix=f"budget.accuracy limits the {title(score)}",
        )
    if task in ("multilabel", "regression") and pipeline.teacher_weights == "confidence":
        raise ConfigError(
            f"Confidence is about the probability of a class, and this is a {task}.",
            where="teacher_weights",
            fix="take average or score",
        )
    if task in ("multilabel", "regression") and pipeline.softlabels.top is not None:
        raise ConfigError(
            f"Only classes have a likeliest few, and this is a {task}.",
            where="softlabels.top",
            fix="leave it out",
        )
    for field, method in _methods(pipeline, task):
        if task == "regression" and isinstance(method, MutualSettings):
            raise ConfigError(
                "The method compares the probabilities of classes, and a regression has none.",
                where=field,
                fix="take the method kd or labels",
            )
    if task in ("multilabel", "regression"):
        for field, method in _methods(pipeline, task):
            if isinstance(method, COMPARE_CLASSES) or getattr(method, "standardize", False):
                raise ConfigError(
                    f"The method compares the probabilities of classes, and a {task} has none.",
                    where=field,
                    fix="take the method kd, without standardize",
                )
        for field, train in _trainings(pipeline):
            if train.label_smoothing:
                raise ConfigError(
                    "label_smoothing spreads a share of the target over the classes, and a "
                    f"{task} has none.",
                    where=f"{field}.label_smoothing",
                    fix="leave it out",
                )


def check_unlabelled(pipeline: Pipeline, task: Task, unlabelled: int) -> None:
    """Refuses methods that ask for the label of every sample, where some have none.

    Args:
        unlabelled: how many have none.

    Raises:
        ConfigError: names the field.
    """
    if not unlabelled:
        return
    for field, part in _methods(pipeline, task):
        bounded = task == "regression" and getattr(part, "regression", "") == "bounded"
        if isinstance(part, NEED_LABELS) or bounded:
            raise ConfigError(
                f"The method {part.name} asks for the label of every sample, and {unlabelled} "
                "have none.",
                where=field,
                fix="take regression: mimic" if bounded else "take kd or dist",
            )
    if all(isinstance(part, LabelsSettings) for _, part in _methods(pipeline, task)):
        raise ConfigError(
            f"{unlabelled} samples have no label, and the student learns from labels alone.",
            where="data.unlabelled",
            fix="take a method with a teacher, such as kd, or leave them out",
        )


def _methods(pipeline: Pipeline, task: Task) -> Iterator[tuple[str, OneMethod]]:
    for field, method in pipeline.methods.items():
        for part in parts_of(suited(method, task)):
            yield field, part


def _trainings(pipeline: Pipeline) -> Iterator[tuple[str, TrainSettings]]:
    for teacher in pipeline.all_teachers:
        if teacher.train is not None:
            yield "teachers.train" if pipeline.teachers else "teacher.train", teacher.train
    yield "distill.train", pipeline.distill.train
    for name in ("finetune", "prune", "quantize"):
        stage = getattr(pipeline, name)
        if stage is not None:
            yield f"{name}.train", stage.train
