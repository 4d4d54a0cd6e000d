"""Trying candidates out: what a step costs, and how far a short training gets."""

from __future__ import annotations

import copy
import dataclasses
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd import inputs
from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.pipeline import Pipeline
from edgekd.config.training import TrainSettings
from edgekd.progress import SILENT
from edgekd.stages.base import Job

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset

TIMED_SECONDS = 0.5
"""Steps are timed for about so long."""
LEAST_STEPS = 30
"""A trial of fewer says nothing."""
FEW_EPOCHS = 3
"""Epochs of a trial on a share of the data."""
JUDGING = 0.35
"""A sample's validation by its training: forward, of forward and backward."""


@dataclass(frozen=True)
class Trials:
    """What trials need: the data, the teacher's answers and how a student is trained."""

    data: Dataset
    pipeline: Pipeline
    base: Path
    artefacts: dict[str, Path]
    """Of the stages "teacher" and "softlabels"."""

    def score(self, network: nn.Module, train: TrainSettings, seconds: float, step: float) -> float:
        """The best validation score of a training of about so many seconds from soft labels.

        On all data with its variations where that allows two epochs, else on a share of it as it
        is.

        Args:
            network: a copy of it is trained.
            step: measured seconds of a step.
        """
        validation = len(self.data.validation) * step / train.batch_size * JUDGING
        samples = int(max(0.0, seconds - FEW_EPOCHS * validation) / step) * train.batch_size
        everything = len(self.data.train)
        augment = self.pipeline.data.augment
        with tempfile.TemporaryDirectory(prefix="edgekd-trial-") as folder:
            work = Path(folder)
            if samples >= 2 * everything:
                settings = _for(train, min(train.epochs, samples // everything))
                soft = self.artefacts["softlabels"]
                return self._train(network, self.data, settings, augment, soft, work)
            share = min(everything, max(2 * train.batch_size, samples // FEW_EPOCHS))
            part = self._part(share, work)
            return self._train(network, part, _for(train, FEW_EPOCHS), Augment(), work, work)

    def _train(
        self,
        network: nn.Module,
        data: Dataset,
        settings: TrainSettings,
        augment: Augment,
        soft: Path,
        out: Path,
    ) -> float:
        from edgekd.stages.learning import train_network
        from edgekd.train.history import History

        job: Job[Any] = Job(
            settings=Settings(),
            inputs={"softlabels": soft, "teacher": self.artefacts["teacher"]},
            out=out,
            node="trial",
            seed=self.pipeline.seed,
            base=self.base,
            progress=SILENT,
        )
        method = self.pipeline.distill.method
        train_network(
            job, copy.deepcopy(network), data, method=method, settings=settings, augment=augment
        )
        history = History.load(out)
        return history.epochs[history.best_epoch - 1].validation_accuracy

    def _part(self, share: int, folder: Path) -> Dataset:
        """So many training samples, drawn by the seed; the answers to them in `folder`."""
        from edgekd.distill.softlabels import make_soft_labels
        from edgekd.stages.teachers import finished_teacher

        data, seed = self.data, self.pipeline.seed
        generator = np.random.default_rng(seed)
        index = np.sort(generator.permutation(len(data.train))[:share])
        train = dataclasses.replace(
            data.train, x=inputs.take(data.train.x, index), y=np.asarray(data.train.y)[index]
        )
        teacher = finished_teacher(self.artefacts["teacher"], self.base).model
        make_soft_labels(teacher, train, data.spec, Augment(), seed, data.fingerprint, folder)
        return dataclasses.replace(data, train=train, unlabelled=None)


def _for(train: TrainSettings, epochs: int) -> TrainSettings:
    return train.model_copy(update={"epochs": epochs, "stop_after": None})


def epoch_seconds(step: float, batch_size: int, data: Dataset) -> float:
    """An epoch with its validation, from a step's seconds."""
    return step / batch_size * (len(data.train) + JUDGING * len(data.validation))


def step_seconds(network: nn.Module, data: Dataset, batch_size: int, *, qat: bool = False) -> float:
    """Measured seconds of a training step on a batch of the data.

    Args:
        network: a copy of it makes the steps.
        qat: through fake quantizers, in float32.

    Raises:
        StageError: the network cannot be captured for quantization.
    """
    import torch

    from edgekd.compress.quantize import calibrate, prepare_qat
    from edgekd.train.precision import device, effective_precision

    where = device()
    count = min(batch_size, len(data.train))
    raw = inputs.apply(np.asarray, inputs.take(data.train.x, slice(0, count)))
    x = inputs.tensors(data.spec.normalise(raw))
    model: nn.Module
    if qat:
        prepared = prepare_qat(network, inputs.take(x, slice(0, 4)))
        calibrate(prepared, [x])
        model = prepared
    else:
        model = copy.deepcopy(network)
    model, x = model.to(where).train(), inputs.apply(lambda part: part.to(where), x)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.0, weight_decay=0.0)
    half = not qat and effective_precision("auto") == "bfloat16"

    def step() -> None:
        with torch.autocast(where.type, dtype=torch.bfloat16, enabled=half):
            logits = inputs.call(model, x)
        optimizer.zero_grad()
        logits.float().square().mean().backward()
        optimizer.step()
        if where.type == "cuda":
            torch.cuda.synchronize()

    step()
    started, steps = time.perf_counter(), 0
    while steps < 2 or time.perf_counter() - started < TIMED_SECONDS:
        step()
        steps += 1
    return (time.perf_counter() - started) / steps * batch_size / count
