"""The loss of each task with its labels, and the score that epochs are judged by."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgekd.errors import StageError
from edgekd.spec import Task

RegressionLoss = Literal["mse", "smooth_l1"]


def label_loss(
    task: Task,
    outputs: Tensor,
    y: Tensor,
    *,
    label_smoothing: float = 0.0,
    regression: RegressionLoss = "mse",
) -> Tensor:
    """The loss of every sample (B,) with its label.

    Cross-entropy of classes; of several labels the binary cross-entropy of their sigmoids, mean
    over the labels; of a regression the squared error or smooth L1 (Girshick 2015, equation 3),
    mean over the targets.

    Args:
        outputs: (B, C), (B, L) or (B, T), float32.
        y: (B,) int64, (B, L) 0 and 1, or (B, T) standardised.
        label_smoothing: share of the target spread over the classes; classes only.

    Raises:
        StageError: labels are to be smoothed where there are no classes.
    """
    if task in ("classification", "binary"):
        return F.cross_entropy(outputs, y, label_smoothing=label_smoothing, reduction="none")
    if label_smoothing:
        raise no_smoothing(task)
    if task == "multilabel":
        return F.binary_cross_entropy_with_logits(outputs, y, reduction="none").mean(1)
    loss = F.mse_loss if regression == "mse" else F.smooth_l1_loss
    return loss(outputs, y, reduction="none").mean(1)


def loss_name(task: Task, regression: RegressionLoss = "mse") -> str:
    """The short name of `label_loss` in a training's history."""
    return {"multilabel": "bce", "regression": regression}.get(task, "ce")


def no_smoothing(task: Task) -> StageError:
    """The error about smoothed labels of a task that has no classes."""
    return StageError(
        f"label_smoothing spreads a share of the target over the classes, and a {task} has none.",
        where="train.label_smoothing",
        fix="leave it out",
    )


def headline(task: Task, outputs: Tensor, y: Tensor) -> float:
    """The score of `spec.HEADLINE`: accuracy, macro F1 or R².

    Args:
        outputs: as for `label_loss`.
        y: likewise; a regression's R² is the same for raw and standardised targets, as long as
            outputs and targets are of one kind.

    The F1 of a label that nothing has and nothing is given is 0, as torchmetrics and scikit-learn
    have it. A target that does not vary has no R² and is left out; if none varies, the score is 0.
    """
    if task in ("classification", "binary"):
        return float((outputs.argmax(1) == y).float().mean())
    if task == "multilabel":
        answer = (outputs > 0).float()
        right = (answer * y).sum(0)
        both = answer.sum(0) + y.sum(0)
        return float((2 * right / both.clamp(min=1)).mean())
    wanted = y.double()
    residual = (outputs.double() - wanted).square().sum(0)
    spread = (wanted - wanted.mean(0)).square().sum(0)
    varies = spread > 0
    return float((1 - residual[varies] / spread[varies]).mean()) if bool(varies.any()) else 0.0


def standardised(y: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """A regression's targets (N, T) as the network sees them, float32."""
    centre, scale = torch.tensor(mean, dtype=torch.float64), torch.tensor(std, dtype=torch.float64)
    return ((y.double() - centre) / scale).float()
