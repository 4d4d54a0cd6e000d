"""Teacher: a large network, trained on the data, or given and fine-tuned, or given as it is."""

from __future__ import annotations

import math

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.stages import LabelsSettings, ModelSettings, Require
from edgekd.config.training import TrainSettings
from edgekd.errors import StageError
from edgekd.results import Accuracy
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import fresh_torch_seed, note, save_and_judge, train_network


class TeacherStage(Settings):
    """What the stage may know. The gate is not part of it: a new gate retrains nothing."""

    model: ModelSettings
    """The network."""
    train: TrainSettings | None
    """How it is trained, or None for `weights` as they are."""
    weights: str | None
    """Where it starts from."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[TeacherStage]) -> Made:
    """Writes the saved teacher.

    Raises:
        StageError: the loss is not finite, or the weights do not fit at all.
    """
    from edgekd.data.dataset import load
    from edgekd.models.build import build
    from edgekd.models.saved import load_weights

    settings = job.settings
    data = load(job.inputs["data"])
    fresh_torch_seed(job.seed)
    model = build(settings.model, data.spec, data.classes, job.base)
    warnings = []
    if settings.weights is not None:
        fresh = load_weights(model, job.base / settings.weights)
        if fresh:
            warnings.append(f"These tensors of the teacher start fresh: {', '.join(fresh)}.")
    if settings.train is not None:
        train_network(
            job,
            model,
            data,
            method=LabelsSettings(),
            settings=settings.train,
            augment=settings.augment,
        )
    figures = save_and_judge(job, model, settings.model, data)
    return Made(note=note(figures), models=[figures], warnings=warnings)


def check_gate(require: Require, validation: Accuracy, node: str) -> None:
    """The teacher-quality gate, on validation.

    Raises:
        StageError: the teacher is not good enough to learn from.
    """
    if validation.value >= require.accuracy:
        return
    missing = math.ceil((require.accuracy - validation.value) * validation.n)
    raise StageError(
        f"The teacher reaches {validation.value:.2%} on validation, and the pipeline requires "
        f"{require.accuracy:.2%}.",
        where=f"{node}: {missing} more of {validation.n} samples would have to be right",
        fix="train it longer (teacher.train.epochs), take a larger one (teacher.model), check the "
        "labels' order, or lower teacher.require.accuracy. The teacher is kept.",
    )
