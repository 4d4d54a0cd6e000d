"""Hinton's distillation, and its forms for several labels and for numbers."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgekd.distill.logits import check, precise


def kd_loss(student: Tensor, teacher: Tensor, temperature: float | Tensor = 4.0) -> Tensor:
    """T² KL(softmax(teacher / T) ‖ softmax(student / T)), mean over the batch.

    Hinton, Vinyals and Dean 2015, section 2; the factor T² keeps the gradients' size when T
    changes.

    Args:
        student: logits (B, C).
        teacher: logits (B, C).
        temperature: T > 0; a tensor of one is a temperature that learns itself.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    check(student, teacher, temperature)
    log_q = F.log_softmax(precise(student) / temperature, dim=1)
    log_p = F.log_softmax(precise(teacher) / temperature, dim=1)
    divergence = F.kl_div(log_q, log_p, reduction="batchmean", log_target=True)
    return divergence * temperature**2


def binary_kd_loss(student: Tensor, teacher: Tensor, temperature: float = 4.0) -> Tensor:
    """T² KL(Bernoulli(σ(teacher / T)) ‖ Bernoulli(σ(student / T))), mean over batch and labels.

    `kd_loss` of every label by itself: its two classes are "applies" and "does not", and a logit
    is the difference of theirs.

    Args:
        student: logits (B, L).
        teacher: logits (B, L).
        temperature: T > 0.

    Raises:
        ValueError: the shapes differ, or T is not positive.
    """
    check(student, teacher, temperature)
    of_student, of_teacher = precise(student) / temperature, precise(teacher) / temperature
    wanted = of_teacher.sigmoid()
    cross = F.binary_cross_entropy_with_logits(of_student, wanted, reduction="mean")
    own = F.binary_cross_entropy_with_logits(of_teacher, wanted, reduction="mean")
    return (cross - own) * temperature**2


def bounded_loss(student: Tensor, teacher: Tensor, y: Tensor, margin: float = 0.0) -> Tensor:
    """The teacher-bounded regression loss of Chen et al. 2017 ("Learning efficient object detection
    models with knowledge distillation"), section 3.3, equation 4, mean over the batch:

        |student - y|² where |student - y|² + margin > |teacher - y|², else 0.

    A teacher's numbers may point away from the truth, so it only says how near to come. The norm
    is a mean over the targets here, so that it is of the size of the loss with the labels.

    Args:
        student: answers (B, T).
        teacher: answers (B, T).
        y: targets (B, T), in the same, standardised units.
        margin: how much nearer to y than the teacher's answers the student has to be; 0 or more.

    Raises:
        ValueError: the shapes differ, or the margin is negative.
    """
    if margin < 0:
        raise ValueError(f"margin {margin} is negative")
    if not student.shape == teacher.shape == y.shape:
        raise ValueError(
            f"student {tuple(student.shape)}, teacher {tuple(teacher.shape)}, y {tuple(y.shape)}"
        )
    own = (student.float() - y).square().mean(1)
    bound = (teacher.float() - y).square().mean(1)
    return (own * (own + margin > bound)).mean()


def mimic_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """Mean squared difference of the answers (B, T): Ba and Caruana 2014, equation 1 (L2)."""
    if student.shape != teacher.shape:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    return F.mse_loss(student.float(), teacher.float())
