"""Distillation losses on logits."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgekd.config.stages import KDSettings, LabelsSettings
from edgekd.errors import StageError
from edgekd.train.batches import Batch
from edgekd.train.loop import Objective


def kd_loss(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T² KL(softmax(teacher / T) ‖ softmax(student / T)), mean over the batch.

    Hinton, Vinyals and Dean 2015, section 2; the factor T² keeps the gradients' size when T
    changes.

    Args:
        student: logits (B, C).
        teacher: logits (B, C).
        temperature: T > 0.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} is not positive")
    log_q = F.log_softmax(student.float() / temperature, dim=1)
    log_p = F.log_softmax(teacher.float() / temperature, dim=1)
    divergence = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def cross_entropy(logits: Tensor, batch: Batch, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of logits (B, C) with the labels, mean over the batch.

    Of mixed samples, both labels count by their share (Zhang et al. 2018; Yun et al. 2019): the
    same as the cross-entropy with the mixed target.
    """

    def loss(target: Tensor) -> Tensor:
        return F.cross_entropy(
            logits.float(), target, label_smoothing=label_smoothing, reduction="none"
        )

    if batch.partner is None or batch.share is None:
        return F.cross_entropy(logits.float(), batch.y, label_smoothing=label_smoothing)
    return (batch.share * loss(batch.y) + (1 - batch.share) * loss(batch.partner)).mean()


def labels_objective(label_smoothing: float = 0.0) -> Objective:
    """Cross-entropy with the labels alone."""

    def loss(logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        total = cross_entropy(logits, batch, label_smoothing)
        return total, {"ce": total.detach()}

    return loss


def kd_objective(settings: KDSettings, label_smoothing: float = 0.0) -> Objective:
    """ce_weight * cross-entropy + kd_weight * `kd_loss`."""

    def loss(logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        if batch.teacher is None:
            raise StageError("The method kd needs the teacher's logits, and there are none.")
        ce = cross_entropy(logits, batch, label_smoothing)
        kd = kd_loss(logits, batch.teacher, settings.temperature)
        total = settings.ce_weight * ce + settings.kd_weight * kd
        return total, {"ce": ce.detach(), "kd": kd.detach()}

    return loss


def make_objective(
    settings: KDSettings | LabelsSettings, label_smoothing: float = 0.0
) -> Objective:
    """The loss of a `method` of the pipeline file."""
    if isinstance(settings, KDSettings):
        return kd_objective(settings, label_smoothing)
    return labels_objective(label_smoothing)
