"""Teacher, given as a file of soft labels: its answers are all there is of it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.data import Augment
from edgekd.results import TeacherFigures
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import TEST_LOGITS, VALIDATION_LOGITS
from edgekd.stages.teachers import TRAIN_LOGITS

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset
    from edgekd.results import Accuracy

LEFT_OUT = (
    "The teacher is a file of soft labels: it has no network that could be exported, measured or "
    "compared with."
)


def take(job: Job[Any], path: Path, augment: Augment) -> Made:
    """Writes the file's answers, checked and in the data's order.

    Raises:
        EdgekdError: they are not of this data.
    """
    import numpy as np

    from edgekd.data.dataset import load
    from edgekd.distill.labels_file import read
    from edgekd.tasks.names import shown, title

    data = load(job.inputs["data"])
    labels = read(path, data, augment, job.seed)
    np.save(job.out / TRAIN_LOGITS, labels.train, allow_pickle=False)
    rest = ((VALIDATION_LOGITS, labels.validation), (TEST_LOGITS, labels.test))
    for name, answers in rest:
        if answers is not None:
            np.save(job.out / name, answers.astype(np.float32), allow_pickle=False)
    validation = None if labels.validation is None else _score(labels.validation, data)
    figures = TeacherFigures(
        stage=job.node.partition("@")[0],
        seed=job.seed,
        validation=validation,
        n=len(data.train),
    )
    told = "no answers on validation"
    if validation is not None:
        metric = validation.metric
        told = f"{title(metric)} {shown(validation.value, metric)} validation"
    note = f"{told}, soft labels of {len(data.train)} samples"
    return Made(note=note, teachers=[figures], warnings=[LEFT_OUT, *labels.notes])


def _score(answers: Any, data: Dataset) -> Accuracy:
    from edgekd.tasks import metrics

    return metrics.score(
        data.model_spec(""), answers, data.validation.y, runtime="labels", split="validation"
    )
