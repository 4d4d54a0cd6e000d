"""Finetune: more epochs of the distilled student, on labels or with the teacher."""

from __future__ import annotations

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.methods import Method
from edgekd.config.training import FinetuneTrain
from edgekd.stages.base import Job, Made
from edgekd.stages.learning import train_network
from edgekd.stages.networks import note, save_and_judge, saved_network


class FinetuneStage(Settings):
    """What the stage may know."""

    method: Method
    """The loss."""
    train: FinetuneTrain
    """How it is trained."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[FinetuneStage]) -> Made:
    """Writes the saved student.

    Raises:
        StageError: the loss is not finite.
    """
    from edgekd.data.dataset import load

    settings = job.settings
    data = load(job.inputs["data"])
    student = saved_network(job.inputs["student"], job.base)
    train_network(
        job,
        student.model,
        data,
        method=settings.method,
        settings=settings.train,
        augment=settings.augment,
    )
    figures = save_and_judge(job, student.model, student.settings, data)
    return Made(note=note(figures), models=[figures])
