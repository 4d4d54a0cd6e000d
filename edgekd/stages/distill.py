"""Distill: the student is trained from the teacher's soft labels."""

from __future__ import annotations

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.methods import Method
from edgekd.config.stages import ModelSettings
from edgekd.config.training import TrainSettings
from edgekd.stages.base import Job, Made
from edgekd.stages.learning import peers_of, train_network
from edgekd.stages.networks import fresh_torch_seed, note, save_and_judge
from edgekd.stages.teachers import parameters_of

APART = 1000
"""From the seed of a network's first weights to that of the next one's in a chain."""


class DistillStage(Settings):
    """What the stage may know."""

    model: ModelSettings
    """The student's network."""
    method: Method
    """The loss."""
    train: TrainSettings
    """How it is trained."""
    augment: Augment
    """Variations of training images."""
    generation: int = 0
    """Of networks that may be built alike, which number this is: each has first weights of its
    own."""


def run(job: Job[DistillStage]) -> Made:
    """Writes the saved student.

    Raises:
        StageError: the loss is not finite.
    """
    from edgekd.data.dataset import load
    from edgekd.models.build import build
    from edgekd.models.count import parameters

    settings = job.settings
    data = load(job.inputs["data"])
    fresh_torch_seed(job.seed + settings.generation * APART)
    model = build(settings.model, data.spec, data.classes, job.base)
    warnings = []
    teacher_size = None  # the control arm has no teacher
    if "teacher" in job.inputs:
        teacher_size = parameters_of(job.inputs["teacher"], job.base)
    if teacher_size is not None and parameters(model) > teacher_size:
        warnings.append(
            f"The student ({parameters(model):,} parameters) is larger than the teacher "
            f"({teacher_size:,}): lower student.model.width or take another network."
        )
        job.progress.message(warnings[-1])
    train_network(
        job,
        model,
        data,
        method=settings.method,
        settings=settings.train,
        augment=settings.augment,
        peers=peers_of(job, settings.method, settings.model, data, job.seed + settings.generation),
    )
    figures = save_and_judge(job, model, settings.model, data)
    return Made(note=note(figures), models=[figures], warnings=warnings)
