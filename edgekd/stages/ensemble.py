"""Ensemble: several teachers' soft labels become those of one, in the place of a teacher."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.errors import StageError
from edgekd.results import Accuracy, TeacherFigures
from edgekd.spec import Task
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import TEST_LOGITS, VALIDATION_LOGITS, validation_of
from edgekd.stages.teachers import TRAIN_LOGITS
from edgekd.store import MANIFEST, new_map, read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.data.dataset import Dataset
    from edgekd.train.answers import Answers

CHUNK = 4096
"""Samples that are mixed at a time."""
NO_NETWORK = (
    "Several teachers have no one network that could be exported, measured or compared with; their "
    "mixture is compared by its answers."
)


class EnsembleStage(Settings):
    """What the stage may know."""

    weights: Literal["average", "score", "confidence"]
    """How the teachers count."""
    temperature: float
    """At which their probabilities are mixed: the method's."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[EnsembleStage]) -> Made:
    """Writes the mixture's answers: to all views of the training samples, and where every teacher
    has them, to validation and test samples.

    Raises:
        StageError: a teacher has no validation score to be weighed by.
    """
    import numpy as np

    from edgekd.data.dataset import load
    from edgekd.distill.softlabels import opened

    data = load(job.inputs["data"])
    numbers = sorted(int(role.partition("-")[2]) for role in job.inputs if "teacher-" in role)
    caches = [opened(job.inputs[f"softlabels-{number}"]) for number in numbers]
    weights = _weights(job, numbers)
    views = max(len(cache) for cache in caches)
    y = np.asarray(data.taught.y)
    shape = (views, len(y), data.classes)
    out = new_map(job.out / TRAIN_LOGITS, np.float16, shape)
    for view in range(views):
        for start in range(0, len(y), CHUNK):
            part = slice(start, min(len(y), start + CHUNK))
            out[view, part] = _mixed(job, y[part], caches, view, part, weights, data.task)
        job.progress.step(view + 1, views, "soft labels mixed")
    out.flush()
    validation = _judged(job, data, numbers, weights)
    figures = TeacherFigures(
        stage="ensemble", seed=job.seed, validation=validation, n=len(data.train)
    )
    how = "by confidence" if job.settings.weights == "confidence" else _shares(weights)
    note = f"{len(numbers)} teachers as one, {how}"
    return Made(note=note, teachers=[figures], warnings=[NO_NETWORK])


def _weights(job: Job[EnsembleStage], numbers: Sequence[int]) -> NDArray[np.float64]:
    """Weights (K,); those by confidence are each sample's own, so that these are equal."""
    from edgekd.distill.ensemble import average_weights, score_weights

    if job.settings.weights != "score":
        return average_weights(len(numbers))
    scores = []
    for number in numbers:
        found = validation_of(read_json(job.inputs[f"teacher-{number}"] / MANIFEST))
        if found is None:
            raise no_score(number, len(numbers))
        scores.append(found.value)
    return score_weights(scores)


def no_score(number: int, teachers: int) -> StageError:
    """The error about a teacher that is to be weighed by a score that it does not have."""
    return StageError(
        "A teacher without answers on validation cannot be weighed by its score.",
        where=f"teachers, the {number}. of {teachers}",
        fix="add validation_logits to its file, or take teacher_weights: average",
    )


def _mixed(
    job: Job[EnsembleStage],
    y: NDArray[Any],
    caches: Sequence[Answers],
    view: int,
    part: slice,
    weights: NDArray[np.float64],
    task: Task,
) -> NDArray[np.float64]:
    """Logits (n, C) of the mixture for a view of some training samples. Those without a label
    weigh the teachers alike.
    """
    import numpy as np
    import torch

    from edgekd.distill.ensemble import combine, confidence_weights

    index = torch.arange(part.start, part.stop)
    logits = [cache.at(view, index)[0].numpy() for cache in caches]
    if job.settings.weights == "confidence":
        known = y[:, None] >= 0
        weights = np.where(known, confidence_weights(logits, np.maximum(y, 0)), weights)
    return combine(logits, weights, job.settings.temperature, task)


def _judged(
    job: Job[EnsembleStage], data: Dataset, numbers: Sequence[int], weights: NDArray[np.float64]
) -> Accuracy | None:
    """Keeps the mixture's answers to validation and test samples, whose labels it must not know;
    gives the score on validation.
    """
    import numpy as np

    from edgekd.distill.ensemble import combine
    from edgekd.tasks import metrics

    found: dict[str, Any] = {}
    for name in (VALIDATION_LOGITS, TEST_LOGITS):
        files = [job.inputs[f"teacher-{number}"] / name for number in numbers]
        if all(file.is_file() for file in files):
            logits = [np.load(file, allow_pickle=False) for file in files]
            found[name] = combine(logits, weights, 1.0, data.task).astype(np.float32)
            np.save(job.out / name, found[name], allow_pickle=False)
    if VALIDATION_LOGITS not in found:
        return None
    spec, y = data.model_spec(""), data.validation.y
    answers = found[VALIDATION_LOGITS]
    return metrics.score(spec, answers, y, runtime="torch", split="validation")


def _shares(weights: NDArray[np.float64]) -> str:
    return " + ".join(f"{share:.0%}" for share in weights)
