"""Soft labels: the teacher's answer to every view of every training sample, once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic import PositiveInt

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.stages.base import Job, Made
from edgekd.stages.teachers import TRAIN_LOGITS, finished_teacher, is_labels

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset
    from edgekd.distill.softlabels import Kept

CHUNK = 4096
"""Samples that are copied at a time."""


class SoftLabelsStage(Settings):
    """What the stage may know."""

    augment: Augment
    """Variations of training images."""
    top: PositiveInt | None = None
    """So many classes of an answer are kept; None for all."""
    temperature: float | None = None
    """With `top`, at which the rest's share is to be exact."""

    @property
    def kept(self) -> Kept:
        """How much of an answer is kept."""
        from edgekd.distill.softlabels import Kept

        return Kept(self.top, self.temperature or 1.0)


def run(job: Job[SoftLabelsStage]) -> Made:
    """Writes the cache and computes a few of its entries again.

    Raises:
        StageError: the teacher's answers are not finite.
        DataError: the variations do not suit the data.
    """
    from edgekd.data.check_augment import check_augment
    from edgekd.data.dataset import load
    from edgekd.distill.softlabels import check_soft_labels, load_soft_labels, make_soft_labels

    data = load(job.inputs["data"])
    augment, folder = job.settings.augment, job.inputs["teacher"]
    check_augment(augment, data.spec)
    if is_labels(folder):
        return _given(job, data)
    teacher = finished_teacher(folder, job.base).model
    train = data.taught
    kept, fingerprint = job.settings.kept, data.fingerprint
    make_soft_labels(
        teacher, train, data.spec, augment, job.seed, fingerprint, job.out, job.progress, kept
    )
    at = job.settings.temperature
    answers = load_soft_labels(job.out, train, fingerprint, augment, job.seed, at)
    check_soft_labels(answers, teacher, train, data.spec, augment, job.seed)
    return Made(note=_note(len(train), len(answers)))


def _given(job: Job[SoftLabelsStage], data: Dataset) -> Made:
    """The answers of a teacher that has no network."""
    import numpy as np

    from edgekd.distill.softlabels import write_soft_labels

    given = np.load(job.inputs["teacher"] / TRAIN_LOGITS, mmap_mode="r", allow_pickle=False)
    views, samples, _ = given.shape
    chunks = (
        (view, start, np.asarray(given[view, start : start + CHUNK]))
        for view in range(views)
        for start in range(0, samples, CHUNK)
    )
    augment = job.settings.augment
    size, seed, fingerprint = (views, samples), job.seed, data.fingerprint
    write_soft_labels(job.out, chunks, size, augment, seed, fingerprint, job.settings.kept)
    return Made(note=_note(samples, views))


def _note(samples: int, views: int) -> str:
    return f"{samples} samples, {'1 view' if views == 1 else f'{views} views'} each"
