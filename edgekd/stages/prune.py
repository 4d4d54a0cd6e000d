"""Prune: whole channels of the student go, and the rest is trained again with the same loss."""

from __future__ import annotations

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.methods import Method
from edgekd.config.stages import PruneSettings
from edgekd.stages.base import Job, Made
from edgekd.stages.learning import train_network
from edgekd.stages.networks import note, save_and_judge, saved_network


class PruneStage(Settings):
    """What the stage may know."""

    prune: PruneSettings
    """How much goes."""
    method: Method
    """The loss of the training afterwards."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[PruneStage]) -> Made:
    """Writes the saved, smaller student.

    Raises:
        StageError: the target cannot be reached with the rounding of channels.
    """
    from edgekd import inputs
    from edgekd.compress.prune import prune
    from edgekd.data.dataset import load
    from edgekd.models.count import macs

    settings = job.settings
    data = load(job.inputs["data"])
    student = saved_network(job.inputs["student"], job.base)
    before = macs(student.model, data.spec)
    model = prune(student.model, inputs.zeros(data.spec, 2), settings.prune)
    train_network(
        job,
        model,
        data,
        method=settings.method,
        settings=settings.prune.train,
        augment=settings.augment,
    )
    figures = save_and_judge(job, model, student.settings, data)
    share = figures.macs / before
    return Made(note=f"{note(figures)}, {share:.0%} of the MACs", models=[figures])
