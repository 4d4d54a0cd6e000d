"""Soft labels: the teacher's answer to every view of every training sample, once."""

from __future__ import annotations

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.stages.base import Job, Made
from edgekd.stages.teachers import finished_teacher


class SoftLabelsStage(Settings):
    """What the stage may know."""

    augment: Augment
    """Variations of training images."""


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
    teacher = finished_teacher(job.inputs["teacher"], job.base).model
    augment = job.settings.augment
    check_augment(augment, data.spec)
    make_soft_labels(
        teacher, data.train, data.spec, augment, job.seed, data.fingerprint, job.out, job.progress
    )
    logits = load_soft_labels(job.out, data.train, data.fingerprint, augment, job.seed)
    check_soft_labels(logits, teacher, data.train, data.spec, augment, job.seed)
    views = "1 view" if len(logits) == 1 else f"{len(logits)} views"
    return Made(note=f"{len(data.train.y)} samples, {views} each")
