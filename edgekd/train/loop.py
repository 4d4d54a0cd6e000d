"""The one training loop: teachers, students, pruned networks and quantized ones all pass here."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import closing, nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgekd import inputs
from edgekd.config.data import Augment
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.errors import DivergedError
from edgekd.progress import SILENT, Epoch, Progress
from edgekd.spec import HEADLINE, Inputs, Task
from edgekd.store import digest
from edgekd.tasks.losses import headline, label_loss
from edgekd.train import checkpoint as checkpoints
from edgekd.train import processes
from edgekd.train.answers import Answers
from edgekd.train.batch_norm import refuse_hidden, synchronised
from edgekd.train.batches import (
    Batch,
    Samples,
    batch_bounds,
    epoch_order,
    mix,
    normalised,
    training_batches,
)
from edgekd.train.checkpoint import Checkpoint, with_prefix, without_prefix
from edgekd.train.ema import Ema
from edgekd.train.evaluate import common_logits
from edgekd.train.history import EpochRecord, History
from edgekd.train.objective import Distiller, Objective
from edgekd.train.precision import device, effective_precision
from edgekd.train.schedule import make_optimizer, rate_factor, set_rate

JUDGED = 4096
"""Samples whose validation loss is computed at a time."""


def fit(
    model: nn.Module,
    train: Split,
    validation: Split,
    spec: Inputs,
    settings: TrainSettings,
    objective: Objective,
    *,
    seed: int,
    task: Task = "classification",
    augment: Augment | None = None,
    augment_seed: int | None = None,
    teacher_logits: Tensor | Answers | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[int, nn.Module], None] | None = None,
    progress: Progress = SILENT,
) -> History:
    """Trains `model` in place and leaves it with the weights that were best on `validation`.

    The same arguments on the same processor give bit-identical weights, also when the process was
    killed in between and `checkpoint` is the same folder: everything random is drawn anew each
    epoch from `seed` and the epoch's number.

    In several processes (see `edgekd.train.processes`) each has its slice of every batch, and the
    weights are those of one process but for the rounding of sums. Only the first returns.

    Args:
        model: from (B, *spec.shape), or several inputs, to logits (B, C), or to what else the
            task's outputs are.
        objective: what is minimised. A `Distiller`'s own parameters are trained with the model's.
        train: targets by the task; a regression's are standardised already.
        validation: likewise.
        task: what the targets are; decides what an epoch is judged by.
        teacher_logits: (K, N, C), the teacher's answer to each of the K views of each sample; or
            what `load_soft_labels` gives.
        augment_seed: seed of the views, which must be the one of the soft-label cache; `seed` if
            left out.
        checkpoint: folder for the state after each epoch; None keeps none.
        on_epoch: called with the epoch (from 0) and the model before each epoch.

    Raises:
        StageError: the loss is not finite.
        NotFirst: the training is over, and this process only helped.
    """
    where = device()
    distiller = objective.to(where) if isinstance(objective, Distiller) else None
    training = _Training(model.to(where), settings, len(train.y), seed, task, distiller)
    fingerprint = training.fingerprint(objective, augment)
    if checkpoint is not None:
        training.resume(checkpoints.read(checkpoint, fingerprint))
    training.begin_alike(fingerprint)

    x, y = normalised(train, spec, where), torch.from_numpy(np.array(train.y)).to(where)
    x_val = normalised(validation, spec, where)
    y_val = torch.from_numpy(np.array(validation.y)).to(where)
    augment = augment or Augment()
    end = min(settings.epochs, settings.stop_after or settings.epochs)
    for epoch in range(training.epoch, end):
        if training.out_of_patience():
            break
        if on_epoch is not None:
            on_epoch(epoch, model)
        started = time.perf_counter()
        _seed_everything(mix(seed, epoch) + processes.rank())  # not the same dropout everywhere
        batches = training_batches(
            x,
            y,
            epoch_order(len(y), seed, epoch).to(where),
            settings.batch_size,
            augment,
            seed if augment_seed is None else augment_seed,
            epoch % augment.view_count,
            Answers.of(teacher_logits) if isinstance(teacher_logits, Tensor) else teacher_logits,
            spec,
        )
        watching = distiller.watching(model) if distiller is not None else nullcontext()
        with watching, closing(batches):  # what is made ahead ends with the epoch, however it ends
            loss, parts = training.run_epoch(batches, objective, epoch)
        training.judge(x_val, y_val, loss, parts, time.perf_counter() - started)
        if distiller is not None:
            distiller.judged(training.records[-1].validation_accuracy)
        if checkpoint is not None and processes.is_first():
            checkpoints.write(checkpoint, training.state(fingerprint))
        last = training.records[-1]
        score = last.validation_accuracy
        progress.epoch(Epoch(epoch + 1, settings.epochs, loss, score, last.seconds, HEADLINE[task]))
    model.load_state_dict(training.best)
    model.eval()
    processes.only_first_goes_on()
    return History(tuple(training.records), training.best_epoch)


class _Training:
    """The state that goes from epoch to epoch."""

    def __init__(
        self,
        model: nn.Module,
        settings: TrainSettings,
        samples: int,
        seed: int,
        task: Task,
        distiller: Distiller | None = None,
    ) -> None:
        self.model = model
        self.distiller = distiller
        self.task: Task = task
        if any(parameter.ndim == 4 for parameter in model.parameters()):
            model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.settings = settings
        self.seed = seed
        self.classifier = classifier_parameters(model)
        self.optimizer = make_optimizer(model, settings, self.classifier, distiller)
        self.ema = Ema(model, settings.ema) if settings.ema else None
        self.steps_per_epoch = len(batch_bounds(samples, settings.batch_size))
        self.precision = effective_precision(settings.precision)
        self.epoch = 0
        self.records: list[EpochRecord] = []
        self.best_epoch = 0
        self.best: dict[str, Tensor] = {}

    def fingerprint(self, objective: Objective, augment: Augment | None) -> str:
        """What a checkpoint must have been made with to be of use."""
        return digest(
            {
                "settings": self.settings.model_dump(mode="json", exclude={"stop_after"}),
                "augment": augment.model_dump(mode="json") if augment else None,
                "seed": self.seed,
                "task": self.task,
                "precision": self.precision,
                "steps": self.steps_per_epoch,
                "objective": objective.settings()
                if isinstance(objective, Distiller)
                else getattr(objective, "__qualname__", type(objective).__qualname__),
                "tensors": {n: list(v.shape) for n, v in self.model.named_parameters()},
                "learnt": {n: list(v.shape) for n, v in self.learnt().items()},
            }
        )

    def learnt(self) -> dict[str, Tensor]:
        """What the objective learns itself."""
        return self.distiller.state_dict() if self.distiller is not None else {}

    def run_epoch(
        self, batches: Any, objective: Objective, epoch: int
    ) -> tuple[float, dict[str, float]]:
        """One pass; returns the mean loss and its parts."""
        self._set_mode(epoch)
        total, samples = 0.0, 0
        parts: dict[str, float] = {}
        for step, batch in enumerate(batches):
            factor = rate_factor(
                self.settings, epoch * self.steps_per_epoch + step, self.steps_per_epoch
            )
            self.rate = set_rate(self.optimizer, self.settings, factor)
            loss, named = self._step(batch, objective, epoch)
            value = float(loss.detach())
            if not np.isfinite(value):
                raise DivergedError(
                    f"The loss became {value}.",
                    where=f"epoch {epoch + 1}, step {step + 1} of {self.steps_per_epoch}",
                    fix=f"lower learning_rate (now {self.settings.learning_rate:g}), set clip_norm"
                    " or precision: float32; finished epochs are kept",
                )
            size = len(batch.y)
            total, samples = total + value * size, samples + size
            for name, part in named.items():
                parts[name] = parts.get(name, 0.0) + float(part) * size
        self.epoch = epoch + 1
        return total / samples, {name: part / samples for name, part in parts.items()}

    def _step(
        self, batch: Batch, objective: Objective, epoch: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        with self._autocast(), synchronised():
            own = inputs.call(self.model, batch.x)
        logits = processes.gathered(own.float(), len(batch.index))
        loss, named = objective(logits, batch, epoch)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        processes.add_gradients(self.model.parameters())
        if self.distiller is not None:
            processes.add_gradients(self.distiller.parameters(), mean=True)
        if self.settings.clip_norm is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_norm)
            if learnt := list(self.distiller.parameters()) if self.distiller is not None else []:
                nn.utils.clip_grad_norm_(learnt, self.settings.clip_norm)
        self.optimizer.step()
        if self.ema is not None:
            self.ema.update(self.model)
        return loss, named

    def _autocast(self) -> torch.autocast:
        enabled = self.precision == "bfloat16"
        return torch.autocast(device().type, dtype=torch.bfloat16, enabled=enabled)

    def _set_mode(self, epoch: int) -> None:
        """Training mode; while the backbone is frozen, its statistics stand still as well."""
        frozen = epoch < self.settings.freeze_epochs
        self.model.train()
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(not frozen or name in self.classifier)
        if frozen:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    @torch.no_grad()
    def judge(
        self, x: Samples, y: Tensor, loss: float, parts: dict[str, float], seconds: float
    ) -> None:
        """Validates what would be kept, and keeps it if it is the best so far.

        Among equal scores, which small validation sets have many of, the lower loss wins.
        """
        now = self.model.state_dict()
        if self.ema is not None:
            now = {name: value.clone() for name, value in now.items()}
            self.model.load_state_dict(self.ema.state)
        with self._autocast():
            logits = common_logits(self.model, x)
        accuracy = headline(self.task, logits, y)
        kind = self.settings.regression_loss
        losses = [  # in parts: the loss takes as much memory again as the logits that it is of
            label_loss(self.task, *part, regression=kind)
            for part in zip(logits.split(JUDGED), y.split(JUDGED), strict=True)
        ]
        validation_loss = float(torch.cat(losses).mean())
        accuracy, validation_loss = processes.of_first(accuracy, validation_loss)
        self.records.append(
            EpochRecord(self.epoch, loss, validation_loss, accuracy, self.rate, seconds, parts)
        )
        best = self.records[self.best_epoch - 1] if self.best_epoch else None
        blind = self.distiller is not None and not self.distiller.trains_outputs
        if (
            best is None
            or blind
            or (accuracy, -validation_loss)
            > (
                best.validation_accuracy,
                -best.validation_loss,
            )
        ):
            self.best_epoch = self.epoch
            self.best = {n: v.detach().clone() for n, v in self.model.state_dict().items()}
        if self.ema is not None:
            self.model.load_state_dict(now)

    def begin_alike(self, fingerprint: str) -> None:
        """Makes sure that all processes start from the same state.

        Raises:
            StageError: they do not, or the network cannot be trained by several.
        """
        refuse_hidden(self.model)
        processes.agree(f"training {fingerprint} from epoch {self.epoch + 1}")
        processes.same_everywhere(self.model.state_dict().values())
        processes.same_everywhere(self.learnt().values())

    def out_of_patience(self) -> bool:
        """Whether the best epoch lies too far back."""
        patience = self.settings.patience
        return patience is not None and self.epoch - self.best_epoch >= patience

    def state(self, fingerprint: str) -> Checkpoint:
        """Everything that `resume` needs."""
        tensors, scalars = checkpoints.optimizer_state(self.optimizer)
        averaged = self.ema.state if self.ema is not None else {}
        return Checkpoint(
            {
                **with_prefix("model", self.model.state_dict()),
                **with_prefix("best", self.best),
                **with_prefix("ema", averaged),
                **with_prefix("objective", self.learnt()),
                **with_prefix("optimizer", tensors),
            },
            {
                "fingerprint": fingerprint,
                "epoch": self.epoch,
                "best_epoch": self.best_epoch,
                "ema_steps": self.ema.steps if self.ema is not None else 0,
                "optimizer": scalars,
                "records": [asdict(record) for record in self.records],
            },
        )

    def resume(self, saved: Checkpoint | None) -> None:
        """Goes on from a checkpoint, if there is one."""
        if saved is None:
            return
        self.model.load_state_dict(without_prefix("model", saved.tensors))
        if self.distiller is not None:
            self.distiller.load_state_dict(without_prefix("objective", saved.tensors))
        self.best = without_prefix("best", saved.tensors)
        self.epoch = saved.facts["epoch"]
        self.best_epoch = saved.facts["best_epoch"]
        self.records = [EpochRecord(**record) for record in saved.facts["records"]]
        checkpoints.restore_optimizer(
            self.optimizer, without_prefix("optimizer", saved.tensors), saved.facts["optimizer"]
        )
        if self.ema is not None:
            self.ema.restore(without_prefix("ema", saved.tensors), saved.facts["ema_steps"])


def classifier_parameters(model: nn.Module) -> set[str]:
    """Names of the last linear layer's parameters, or of a module called `classifier`.

    A network without either, such as an exported graph, learns as a whole.
    """
    linear = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    names = [name for name, _ in model.named_parameters()]
    for head in ("classifier", linear[-1] if linear else None):
        found = {name for name in names if head and name.startswith(f"{head}.")}
        if found:
            return found
    return set(names)


def _seed_everything(seed: int) -> None:
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
