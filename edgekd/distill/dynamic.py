"""Weights that the student's own progress drives."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from edgekd.config.schedules import Changing, WeightSchedule, value_at
from edgekd.errors import StageError

SMOOTHING = 0.9
"""Share of the old ratio of gradients that a step keeps."""
LARGEST = 100.0
"""A ratio stays below this: a method's gradient may vanish where it has nothing more to say."""


class Drive(nn.Module):
    """The weight of a method over a training.

    By the gradient: w ‖∂L/∂z‖ / ‖∂M/∂z‖ times the method's loss M, where L is the loss with the
    labels and z the student's logits (B, C), so that M pulls w times as hard as L, whatever its
    scale. The ratio is smoothed over steps. The idea is that of GradNorm (Chen et al. 2018), which
    learns the weights of tasks from gradient norms; here the ratio is set, and the norms are taken
    at the logits, where they cost next to nothing.

    By the gap: w clip((T - s) / (T - s1), 0, 1), with the teacher's score T, the student's s after
    the last epoch and s1 after the first: once the student is as good as the teacher, the labels
    alone teach it.

    Args:
        weight: as in the pipeline file.
        epochs: of the training.
        goal: the teacher's score on validation; needed by `gap` only.

    Raises:
        StageError: the gap is to drive it and the teacher's score is not known.
    """

    ratio: Tensor
    first: Tensor
    last: Tensor

    def __init__(self, weight: Changing, epochs: int = 1, goal: float | None = None) -> None:
        super().__init__()
        self.planned, self.epochs, self.goal = weight, epochs, goal
        self.by = weight.by if isinstance(weight, WeightSchedule) else None
        if self.by == "gap" and goal is None:
            raise StageError(
                "weight by gap needs the teacher's score on validation, and there is none.",
                fix="give `weight` a schedule of epochs",
            )
        if self.by is not None:  # in the checkpoint, so that a killed run goes on the same
            for name in ("ratio", "first", "last"):
                self.register_buffer(name, torch.tensor(float("nan")))

    def at(self, epoch: int) -> float:
        """The weight in an epoch (from 0) as it is now."""
        weight = value_at(self.planned, epoch, self.epochs)
        if self.by == "gradient":
            return weight * _known(self.ratio)
        if self.by == "gap" and self.goal is not None:
            gap = self.goal - _known(self.first, self.goal - 1)
            left = self.goal - _known(self.last, self.goal - 1)
            return weight * (min(1.0, max(0.0, left / gap)) if gap > 0 else 0.0)
        return weight

    def see(self, labels: Tensor, method: Tensor, logits: Tensor) -> None:
        """Takes the norms of a step's gradients, if they drive the weight.

        Args:
            labels: the loss with the labels, a scalar with its graph.
            method: the method's.
            logits: what both were computed from.
        """
        if self.by != "gradient" or not logits.requires_grad:
            return
        norms = [_norm(loss, logits) for loss in (labels, method)]
        if not (norms[0] > 0 and norms[1] > 0):  # such as a batch without labels
            return
        ratio = (norms[0] / norms[1]).clamp(max=LARGEST)
        old = torch.where(self.ratio.isnan(), ratio, self.ratio)
        self.ratio.copy_(SMOOTHING * old + (1 - SMOOTHING) * ratio)

    def judged(self, score: float) -> None:
        """Takes the student's score on validation after an epoch."""
        if self.by == "gap":
            if self.first.isnan():
                self.first.fill_(score)
            self.last.fill_(score)


def _norm(loss: Tensor, logits: Tensor) -> Tensor:
    if not loss.requires_grad:
        return torch.zeros(())
    (found,) = torch.autograd.grad(loss, logits, retain_graph=True, allow_unused=True)
    return torch.zeros(()) if found is None else found.norm()


def _known(value: Tensor, otherwise: float = 1.0) -> float:
    found = float(value)
    return otherwise if math.isnan(found) else found
