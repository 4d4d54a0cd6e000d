"""Check: what the teacher is worth as a teacher, before anything is learned from it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.base import Settings
from edgekd.results import Accuracy, TeacherFigures
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import VALIDATION_LOGITS, validation_of
from edgekd.store import MANIFEST, read_json

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgekd.train.answers import Answers

CHUNK = 4096
"""Samples that are looked at together."""
CLASSIFIERS = ("classification", "binary")


class CheckStage(Settings):
    """What the stage may know."""

    of: str = "teacher"
    """Whose answers they are, in the tables."""
    temperature: float
    """At which the soft targets are looked at."""
    standardize: bool = False
    """Whether the method standardizes logits first."""


def run(job: Job[CheckStage]) -> Made:
    """Looks at the teacher's answers on validation and at its soft targets."""
    import numpy as np

    from edgekd.data.dataset import load
    from edgekd.distill.softlabels import opened
    from edgekd.quality import teacher

    data = load(job.inputs["data"])
    figures = TeacherFigures(
        stage=job.settings.of,
        seed=job.seed,
        validation=_validation(job.inputs["teacher"]),
        n=len(data.train),
    )
    if data.task not in CLASSIFIERS:
        return Made(note=_note(figures), teachers=[figures])
    file = job.inputs["teacher"] / VALIDATION_LOGITS
    if file.is_file():
        logits = np.load(file, allow_pickle=False)
        figures = teacher.with_calibration(figures, logits, data.validation.y, job.seed)
    settings = job.settings
    answers = opened(job.inputs["softlabels"], settings.temperature)
    chunks = _chunks(answers, data.train.y)
    found = teacher.soft_targets(
        chunks,
        settings.temperature,
        standardize=settings.standardize,
        rest=answers.top is not None,
    )
    figures = figures.model_copy(update={"temperature": settings.temperature, **vars(found)})
    warnings = teacher.warn(figures, data.validation.y, data.classes)
    for text in warnings:
        job.progress.message(f"warning: {text}")
    return Made(note=_note(figures), teachers=[figures], warnings=warnings)


def _validation(folder: Path) -> Accuracy | None:
    """The score that the teacher's own stage found."""
    return validation_of(read_json(folder / MANIFEST))


def _chunks(answers: Answers, y: NDArray[Any]) -> Iterator[tuple[NDArray[Any], NDArray[Any]]]:
    """The answers to the samples as they are."""
    import numpy as np
    import torch

    for start in range(0, len(y), CHUNK):
        end = min(len(y), start + CHUNK)
        logits, top = answers.at(0, torch.arange(start, end))
        classes = np.asarray(y[start:end])
        if top is not None:  # its column, or -1
            hit = top.numpy() == classes[:, None]
            classes = np.where(hit.any(1), hit.argmax(1), -1)
        yield logits.numpy(), classes


def _note(figures: TeacherFigures) -> str:
    """The check in a few words."""
    from edgekd.tasks.names import shown, title

    parts = []
    if figures.validation is not None:
        score = figures.validation
        parts.append(f"{title(score.metric)} {shown(score.value, score.metric)}")
    if figures.ece is not None:
        parts.append(f"calibration error {figures.ece:.1%}")
    if figures.outside is not None:
        parts.append(
            f"at T {figures.temperature:g} {figures.outside:.1%} outside the top class, "
            f"{figures.wrong:.1%} of training samples wrong"
        )
    return ", ".join(parts) or "no answers on validation to judge"


def no_better(teacher: Accuracy | None, student: Accuracy | None) -> str | None:
    """The warning where the student is as good as the teacher on validation already."""
    from edgekd.tasks.names import shown

    if teacher is None or student is None or student.value < teacher.value:
        return None
    scores = [shown(score.value, score.metric) for score in (teacher, student)]
    return (
        f"The teacher is no better than the student: {scores[0]} and {scores[1]} on validation. "
        "There is little to learn from it; train it longer or take a larger one."
    )
