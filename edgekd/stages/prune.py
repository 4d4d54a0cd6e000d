"""Prune: whole channels of the student go, and the rest is trained again with the same loss."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd import inputs
from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.methods import Method
from edgekd.config.pruning import PruneSettings
from edgekd.stages.base import CHECKPOINT, Job, Made
from edgekd.stages.learning import train_network
from edgekd.stages.networks import as_trained, note, save_and_judge, saved_network

if TYPE_CHECKING:
    from torch import nn

    from edgekd.compress.importance import Labelled
    from edgekd.data.dataset import Dataset
    from edgekd.models.saved import LoadedModel

MEASURES = "edgekd.propose.untrained"
"""Writes and measures files. It is imported by name, so that a change of export or bench makes
anew what was pruned to a measured target, and nothing else."""

STEPS = "steps"
"""Folder of the networks between the steps inside `Job.out` while they are made."""
DONE = "model.json"
"""Written last of a network between two steps."""
SAMPLES = {"taylor": 512, "hessian": 256}
"""Training samples whose gradients tell the importance."""


class PruneStage(Settings):
    """What the stage may know."""

    prune: PruneSettings
    """How much goes, and which channels."""
    method: Method
    """The loss of the training afterwards."""
    augment: Augment
    """Variations of training images."""
    format: str | None = None
    """Of the file that a target of bytes or latency is about."""
    precision: str | None = None
    """Likewise."""
    keep_float: tuple[str, ...] = ()
    """Layers that stay float in it."""


def run(job: Job[PruneStage]) -> Made:
    """Writes the saved, smaller student. Steps that were finished before a kill are not made again.

    Raises:
        StageError: the target cannot be reached with the rounding of channels.
    """
    from edgekd.compress.prune import COUNTED, counter, prune
    from edgekd.data.dataset import load
    from edgekd.models.count import macs

    settings = job.settings.prune
    data = load(job.inputs["data"])
    student = saved_network(job.inputs["student"], job.base)
    model, example = student.model, inputs.zeros(data.spec, 2)
    before = macs(model, data.spec)
    measure = _measure(job, data)
    counted = counter(COUNTED[settings.target], example)(model)
    first = measure(model) if measure is not None else counted
    for number, wanted in enumerate(settings.limits(first), start=1):
        last = number == settings.steps
        folder = job.out if last else job.out / STEPS / str(number)
        if (folder / DONE).is_file():
            model = saved_network(folder, job.base).model
            continue
        model = prune(
            model,
            example,
            settings if last else _counting(settings),
            samples=_samples(job, data),
            measure=measure,
            before=first if number == 1 else None,
            # counted on the way, and at the end measured
            limit=wanted if last else wanted * counted / first,
        )
        _train(job, model, data, folder, last)
        if not last:
            _keep(model, student, folder)
    figures = save_and_judge(job, model, student.settings, data)
    shutil.rmtree(job.out / STEPS, ignore_errors=True)
    share = figures.macs / before
    return Made(note=f"{note(figures)}, {share:.0%} of the MACs", models=[figures])


def _counting(settings: PruneSettings) -> PruneSettings:
    """The same with a target that needs no file."""
    from edgekd.compress.prune import COUNTED

    return settings.model_copy(update={"target": COUNTED[settings.target], "limit": None})


def _measure(job: Job[PruneStage], data: Dataset) -> Callable[[nn.Module], float] | None:
    """What tells the bytes or the time of a network's file; None where the target is counted."""
    from edgekd.compress.measured import SHOWN

    settings = job.settings
    if not settings.prune.measured:
        return None
    measures = import_module(MEASURES)
    tell = measures.bytes_of if settings.prune.target == "bytes" else measures.latency_of
    show = SHOWN[settings.prune.target]

    def measure(network: nn.Module) -> float:
        form = (settings.format, settings.precision, settings.keep_float)
        found = float(tell(network, data, *form))
        job.progress.message(f"{settings.format}, {settings.precision}: {show(found)}")
        return found

    return measure


def _samples(job: Job[PruneStage], data: Dataset) -> Labelled | None:
    """Training samples for the importances that ask for gradients, the same ones each time."""
    import numpy as np
    import torch

    from edgekd.compress.importance import Labelled
    from edgekd.train.batches import epoch_order

    number = SAMPLES.get(job.settings.prune.importance)
    if number is None:
        return None
    chosen = epoch_order(len(data.train), job.seed, 0)[:number].numpy()
    raw = inputs.apply(lambda part: np.asarray(part[np.sort(chosen)]), data.train.x)
    y = torch.from_numpy(np.array(as_trained(data.train, data).y)[np.sort(chosen)])
    return Labelled(inputs.tensors(data.spec.normalise(raw)), y, data.task)


def _train(job: Job[PruneStage], model: nn.Module, data: Dataset, folder: Path, last: bool) -> None:
    """The training after a step: the whole one after the last, a short one before."""
    settings = job.settings
    train = settings.prune.train
    if not last:
        few = {"epochs": settings.prune.step_epochs, "warmup_epochs": 0, "stop_after": None}
        train = train.model_copy(update=few)
    folder.mkdir(parents=True, exist_ok=True)
    train_network(
        replace(job, out=folder),
        model,
        data,
        method=settings.method,
        settings=train,
        augment=settings.augment,
    )


def _keep(model: nn.Module, student: LoadedModel, folder: Path) -> None:
    """Saves the network between two steps, the file that says so last."""
    from edgekd.models.saved import save

    save(model.cpu(), student.settings, student.spec, folder)
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
