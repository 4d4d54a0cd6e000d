"""The loss with the labels and the methods beside it, as one objective."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from typing import Any

import torch
from torch import Tensor, nn

from edgekd import inputs
from edgekd.config.schedules import WeightSchedule
from edgekd.distill.part import Maps, Pair, Part, Remembered, Step
from edgekd.distill.taps import Taps
from edgekd.errors import StageError
from edgekd.train.batches import Batch
from edgekd.train.labels import Labels
from edgekd.train.objective import Distiller

WEIGHT = " weight"
"""After a method's name in a history: its weight, where that changes."""


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
        self._made: tuple[Taps, Taps] | None = None
        self._taps: tuple[Taps, Taps] | None = None
        self._kept: Remembered | None = None

    def keep(self, maps: Remembered) -> None:
        """Takes what the methods need of the teacher's maps from a cache: it is asked no more."""
        self._kept = maps

    def forward(self, logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, and each part of it as it is before its weight."""
        student, teacher = self._maps(batch)
        step = Step(logits, batch, epoch, student, teacher)
        kept = iter(self._kept.at(epoch, batch.index) if self._kept is not None else ())
        hard = self.labels(logits, batch)
        named = {self.labels.name: hard.detach()}
        soft: list[Tensor] = []
        beside: list[Tensor] = []
        for name, part in zip(self.names, self.parts, strict=True):
            from_cache = self._kept is not None and bool(part.student_layers)
            loss = part(replace(step, kept=next(kept)) if from_cache else step)
            part.drive.see(hard, loss, logits)
            weight = part.weight(epoch)
            if weight:
                soft.append(weight * loss)
            own = part.alongside(step)
            if own is not None:
                beside.append(own - own.detach())  # its gradient, and nothing of its value
            named[name] = loss.detach()
            if isinstance(part.settings.weight, WeightSchedule):
                named[f"{name}{WEIGHT}"] = torch.tensor(weight)
        alone = bool(self.parts) and not soft
        return sum(soft + beside, (1.0 if alone else self.ce_weight) * hard), named

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
        teacher = pair.teacher.eval()
        if self._kept is not None:
            of_teacher = set()
        else:
            teacher.to(next(student.parameters()).device)
        if self._made is None or self._made[0].model is not student:
            # The same ones each epoch: a compiled student is else compiled anew.
            self._made = Taps(student, names), Taps(teacher, of_teacher)
        with ExitStack() as stack:
            for taps in self._made:
                stack.enter_context(taps)
            self._taps = self._made
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
        if self._kept is not None:
            return of_student.take(), {}
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
