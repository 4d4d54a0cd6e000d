"""The loss with the labels and the methods beside it, as one objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from edgekd import inputs
from edgekd.config.schedules import WeightSchedule
from edgekd.distill.part import Maps, Pair, Part, Step
from edgekd.distill.taps import Taps
from edgekd.errors import StageError
from edgekd.spec import Task
from edgekd.tasks.losses import RegressionLoss, label_loss, loss_name
from edgekd.train.batches import Batch
from edgekd.train.objective import Distiller

WEIGHT = " weight"
"""After a method's name in a history: its weight, where that changes."""


@dataclass(frozen=True)
class Labels:
    """The loss with the labels of a task."""

    task: Task = "classification"
    label_smoothing: float = 0.0
    regression: RegressionLoss = "mse"
    partly: bool = False
    """Some samples have no label: they count for nothing here."""

    def __call__(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean over the samples of the batch that have a label.

        Of mixed samples, both targets count by their share (Zhang et al. 2018; Yun et al. 2019):
        for classes and labels it is the same as the loss with the mixed target.
        """
        if self.partly:
            return self._masked(outputs, batch)
        if batch.partner is None or batch.share is None:
            return self._each(outputs, batch.y).mean()
        own, other = self._each(outputs, batch.y), self._each(outputs, batch.partner)
        return (batch.share * own + (1 - batch.share) * other).mean()

    def _masked(self, outputs: Tensor, batch: Batch) -> Tensor:
        """The mean over the labels that are known, each by its share; 0 where there are none."""
        targets = [(batch.y, torch.ones(len(batch.y), device=outputs.device))]
        if batch.partner is not None and batch.share is not None:
            targets = [(batch.y, batch.share), (batch.partner, 1 - batch.share)]
        total, weight = outputs.new_zeros(()), outputs.new_zeros(())
        for y, share in targets:
            known = y >= 0 if y.ndim == 1 else ~y.isnan().any(1)
            mask = known if y.ndim == 1 else known[:, None]
            losses = self._each(outputs, torch.where(mask, y, torch.zeros_like(y)))
            total = total + (share * known * losses).sum()
            weight = weight + (share * known).sum()
        return total / weight.clamp(min=torch.finfo(torch.float32).tiny)

    def _each(self, outputs: Tensor, y: Tensor) -> Tensor:
        return label_loss(
            self.task,
            outputs.float(),
            y,
            label_smoothing=self.label_smoothing,
            regression=self.regression,
        )

    @property
    def name(self) -> str:
        """In the parts of a training's loss."""
        return loss_name(self.task, self.regression)


class WeightedSum(Distiller):
    """ce_weight * the loss with the labels + the sum of weight * method. While all weights are 0,
    as after early-stopped distillation, the loss with the labels has the weight 1.

    Args:
        labels: the loss with the labels.
        ce_weight: its weight.
        parts: the methods.
        pair: for methods that look at feature maps; the teacher then runs on every batch.
    """

    def __init__(
        self,
        labels: Labels,
        ce_weight: float = 1.0,
        parts: Sequence[Part] = (),
        pair: Pair | None = None,
    ) -> None:
        super().__init__()
        self.labels = labels
        self.ce_weight = ce_weight
        self.parts: Sequence[Part] = nn.ModuleList(parts)  # type: ignore[assignment]
        self.names = _distinct([part.name for part in parts])
        self._pair = (pair,)  # in a tuple, its networks are no modules of this one
        self._taps: tuple[Taps, Taps] | None = None

    def forward(self, logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and each part of it as it is before its weight."""
        student, teacher = self._maps(batch)
        step = Step(logits, batch, epoch, student, teacher)
        hard = self.labels(logits, batch)
        named = {self.labels.name: hard.detach()}
        soft = []
        for name, part in zip(self.names, self.parts, strict=True):
            loss = part(step)
            part.drive.see(hard, loss, logits)
            weight = part.weight(epoch)
            if weight:
                soft.append(weight * loss)
            named[name] = loss.detach()
            if isinstance(part.settings.weight, WeightSchedule):
                named[f"{name}{WEIGHT}"] = torch.tensor(weight)
        alone = bool(self.parts) and not soft
        return sum(soft, (1.0 if alone else self.ce_weight) * hard), named

    def judged(self, score: float) -> None:
        """Methods whose weight follows the student's progress look at it."""
        for part in self.parts:
            part.drive.judged(score)

    @property
    def trains_outputs(self) -> bool:
        """Whether the labels count, or a method on logits."""
        return self.ce_weight > 0 or any(part.of_outputs for part in self.parts)

    @contextmanager
    def watching(self, student: nn.Module) -> Iterator[None]:
        """Hooks on the layers that the methods named, in student and teacher."""
        (pair,) = self._pair
        names = {layer for part in self.parts for layer in part.student_layers}
        if pair is None or not names:
            yield
            return
        of_teacher = {layer for part in self.parts for layer in part.teacher_layers}
        where = next(student.parameters()).device
        teacher = pair.teacher.to(where).eval()
        with ExitStack() as stack:
            self._taps = (
                stack.enter_context(Taps(student, names)),
                stack.enter_context(Taps(teacher, of_teacher)),
            )
            try:
                yield
            finally:
                self._taps = None

    def _maps(self, batch: Batch) -> tuple[Maps, Maps]:
        """The feature maps of this step; the teacher looks at exactly the student's samples."""
        if not any(part.student_layers for part in self.parts):
            return {}, {}
        (pair,) = self._pair
        if self._taps is None or pair is None:
            raise StageError(
                "This loss looks into the student, and nothing shows it there.",
                fix="train within `with objective.watching(student):`, as edgekd.train.loop.fit",
            )
        of_student, of_teacher = self._taps
        kind = batch.y.device.type
        with torch.no_grad(), torch.autocast(kind, dtype=torch.bfloat16, enabled=pair.half):
            inputs.call(pair.teacher, batch.x)
        return of_student.take(), of_teacher.take()

    def settings(self) -> Any:
        """Weights, methods and layers."""
        parts = [part.describe() for part in self.parts]
        return {"labels": asdict(self.labels), "ce_weight": self.ce_weight, "parts": parts}


def _distinct(names: list[str]) -> list[str]:
    """Names of a history's columns: at, at 2, ..."""
    return [
        name if names[:place].count(name) == 0 else f"{name} {names[:place].count(name) + 1}"
        for place, name in enumerate(names)
    ]
