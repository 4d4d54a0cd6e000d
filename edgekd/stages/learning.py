"""Training a network by a method: from the teacher's soft labels, its maps, or the labels alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

from edgekd.config.data import Augment
from edgekd.config.methods import (
    LabelsSettings,
    Method,
    MutualSettings,
    needs_features,
    parts_of,
    temperature_of,
)
from edgekd.config.networks import ModelSettings
from edgekd.config.training import TrainSettings
from edgekd.stages.base import Job
from edgekd.stages.networks import fit_network, fresh_torch_seed, saved_network, validation_of
from edgekd.store import MANIFEST, read_json

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset
    from edgekd.distill.part import Pair

TUNED = "tuned.json"
"""What the stage `tune` chose."""


def train_network(
    job: Job[Any],
    model: nn.Module,
    data: Dataset,
    *,
    method: Method,
    settings: TrainSettings,
    augment: Augment,
    peers: Sequence[nn.Module] = (),
    on_epoch: Callable[[int, nn.Module], None] | None = None,
    seed: int | None = None,
) -> None:
    """Trains `model` with `method`, from the soft labels and the teacher of the job's inputs, if it
    has them.

    Args:
        peers: networks that are trained beside it, of `mutual`.
        seed: of the training; the job's if left out, which is that of the views in any case.

    Raises:
        StageError: the loss is not finite, or a method's layer does not exist.
        DataError: `augment` does not suit the data.
    """
    from edgekd.distill.losses import make_objective
    from edgekd.distill.softlabels import load_soft_labels
    from edgekd.distill.tuning import replaced
    from edgekd.train.precision import effective_precision

    if "tune" in job.inputs:
        method = replaced(method, read_json(job.inputs["tune"] / TUNED))
    cached = job.inputs.get("softlabels")
    alone = all(isinstance(part, LabelsSettings) for part in parts_of(method))
    train = data.train if alone else data.taught
    logits = (
        load_soft_labels(cached, train, data.fingerprint, augment, job.seed, temperature_of(method))
        if cached
        else None
    )
    objective = make_objective(
        method,
        settings.label_smoothing,
        data.task,
        settings.regression_loss,
        _pair(job, model, data, settings) if needs_features(method) else None,
        partly=len(train) > len(data.train),
        epochs=settings.epochs,
        goal=_goal(job),
        peers=peers,
        half=effective_precision(settings.precision) == "bfloat16",
    )
    if "features" in job.inputs and needs_features(method):
        # By name: the stage `features` has the code in its key, and other trainings need it not.
        cache = import_module("edgekd.distill.featurecache")
        parts = cache.on_maps(objective.parts)
        folder, samples = job.inputs["features"], len(train)
        objective.keep(
            cache.load_features(folder, parts, samples, data.fingerprint, augment, job.seed)
        )
    fit_network(
        job,
        model,
        data,
        train,
        objective,
        settings,
        augment,
        teacher_logits=logits,
        on_epoch=on_epoch,
        seed=seed,
    )


def peers_of(
    job: Job[Any], method: Method, student: ModelSettings, data: Dataset, seed: int
) -> list[nn.Module]:
    """The networks that `mutual` trains beside the student, each with first weights of its own."""
    from edgekd.models.build import build
    from edgekd.train.batches import mix

    found: list[nn.Module] = []
    for part in parts_of(method):
        for model in part.networks(student) if isinstance(part, MutualSettings) else ():
            fresh_torch_seed(mix(seed, len(found)))
            found.append(build(model, data.spec, data.classes, job.base))
    return found


def _goal(job: Job[Any]) -> float | None:
    """The teacher's score on validation, where it is an input and has one."""
    folder = job.inputs.get("teacher")
    found = validation_of(read_json(folder / MANIFEST)) if folder is not None else None
    return found.value if found is not None else None


def _pair(job: Job[Any], model: nn.Module, data: Dataset, settings: TrainSettings) -> Pair:
    """The student and the teacher, for methods that look at feature maps."""
    from edgekd.distill.part import Pair
    from edgekd.train.precision import effective_precision

    teacher = saved_network(job.inputs["teacher"], job.base).model
    half = effective_precision(settings.precision) == "bfloat16"
    return Pair(model, teacher, data.spec, job.seed, half)
