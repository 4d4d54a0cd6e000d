"""One method of a sum, and what it gets to see."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor, nn

from edgekd.config.method_base import FromTeacher
from edgekd.distill.dynamic import Drive
from edgekd.errors import StageError
from edgekd.spec import Inputs
from edgekd.train.batches import Batch
from edgekd.train.labels import Labels

Maps = dict[str, Tensor]
"""Feature maps by the name of the layer: (B, C, H, W), (B, C, L) or (B, D), float32."""


class Remembered(Protocol):
    """What methods need of the teacher's maps, kept from before the training."""

    def at(self, epoch: int, index: Tensor) -> list[list[Tensor]]:
        """By method on feature maps and pair of layers: (B, ...), float32, of the samples at
        `index` in the view of an epoch (from 0)."""
        ...


@dataclass(frozen=True)
class Pair:
    """The two networks of a distillation, as they are before it: what regressors are made for."""

    student: nn.Module
    teacher: nn.Module
    """In evaluation mode; it is never changed."""
    spec: Inputs
    """What both take, in batches (B, *spec.shape)."""
    seed: int = 0
    """Of the first weights of what the methods learn themselves."""
    half: bool = False
    """Let the teacher compute in bfloat16."""


@dataclass(frozen=True)
class Cohort:
    """The networks that are trained beside a student, and what they learn of the labels."""

    peers: tuple[nn.Module, ...]
    labels: Labels
    half: bool = False
    """Let the peers compute in bfloat16, as the student does."""


@dataclass(frozen=True)
class Step:
    """What a method sees of a training step."""

    outputs: Tensor
    """The student's logits (B, C), float32."""
    batch: Batch
    """With the teacher's logits, where they were asked for."""
    epoch: int
    """From 0."""
    student: Maps = field(default_factory=dict)
    """Of the layers that the method named."""
    teacher: Maps = field(default_factory=dict)
    """Likewise, without gradient."""
    kept: list[Tensor] | None = None
    """In place of the teacher's maps what the method needs of them, from a cache."""


def logits_of_teacher(step: Step, method: str) -> Tensor:
    """The teacher's logits of a step.

    Raises:
        StageError: there are none, or only those of the top classes.
    """
    if step.batch.teacher is None:
        raise StageError(f"The method {method} needs the teacher's logits, and has none.")
    if step.batch.top is not None:
        raise needs_all(method)
    return step.batch.teacher


def needs_all(method: str) -> StageError:
    """The error about a method that cannot do with the logits of the top classes."""
    return StageError(
        f"The method {method} needs all logits, and the cache has the top classes only.",
        fix="take kd without standardize, or leave softlabels.top out",
    )


class Part(nn.Module, ABC):
    """A method of a sum. What it learns itself are its parameters.

    Args:
        settings: of the method.
    """

    of_outputs = True
    """Whether it looks at the student's outputs."""
    student_layers: tuple[str, ...] = ()
    """Layers of the student whose outputs it wants to see."""
    teacher_layers: tuple[str, ...] = ()
    """Likewise of the teacher."""

    def __init__(self, settings: FromTeacher) -> None:
        super().__init__()
        self.settings = settings
        self.name: str = settings.name  # type: ignore[attr-defined]
        self.epochs = 1
        if getattr(settings.weight, "by", None) != "gap":
            self.plan(1, None)

    def weight(self, epoch: int) -> float:
        """The method's weight in an epoch (from 0)."""
        return self.drive.at(epoch)

    def plan(self, epochs: int, goal: float | None) -> None:
        """Takes what schedules need: the training's epochs and the teacher's score."""
        self.epochs = epochs
        self.drive = Drive(self.settings.weight, epochs, goal)

    @abstractmethod
    def forward(self, step: Step) -> Tensor:
        """The method's loss, a scalar."""

    def alongside(self, step: Step) -> Tensor | None:
        """What networks of its own minimise in the same step, after `forward`; it is no part of the
        student's loss, and has no gradient in the student."""
        return None

    def describe(self) -> dict[str, Any]:
        """What it was made from."""
        layers = {"student": self.student_layers, "teacher": self.teacher_layers}
        return {"method": self.settings.model_dump(mode="json"), "layers": layers}
