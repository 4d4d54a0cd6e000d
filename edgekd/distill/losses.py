"""Distillation losses on a network's outputs, and the loss with the labels beside them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from edgekd.config.methods import (
    COMPARE_CLASSES,
    DISTSettings,
    DKDSettings,
    KDSettings,
    LabelsSettings,
    LogitMethod,
)
from edgekd.distill.dist import dist_loss
from edgekd.distill.dkd import dkd_loss
from edgekd.distill.logits import check, precise, standardized
from edgekd.distill.nkd import nkd_loss
from edgekd.errors import StageError
from edgekd.spec import Task
from edgekd.tasks.losses import RegressionLoss, label_loss, loss_name, no_smoothing
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


@dataclass(frozen=True)
class Labels:
    """The loss with the labels of a task."""

    task: Task = "classification"
    label_smoothing: float = 0.0
    regression: RegressionLoss = "mse"

    def __call__(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Mean over the batch.

        Of mixed samples, both targets count by their share (Zhang et al. 2018; Yun et al. 2019):
        for classes and labels it is the same as the loss with the mixed target.
        """
        if batch.partner is None or batch.share is None:
            return self._each(outputs, batch.y).mean()
        own, other = self._each(outputs, batch.y), self._each(outputs, batch.partner)
        return (batch.share * own + (1 - batch.share) * other).mean()

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


def labels_objective(label_smoothing: float = 0.0, labels: Labels | None = None) -> Objective:
    """The loss with the labels alone; cross-entropy, if `labels` is left out."""
    with_labels = labels or Labels(label_smoothing=label_smoothing)

    def loss(logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        total = with_labels(logits, batch)
        return total, {with_labels.name: total.detach()}

    return loss


def distilled_objective(settings: LogitMethod, labels: Labels | None = None) -> Objective:
    """ce_weight * the loss with the labels + kd_weight * the method's loss with the teacher."""
    with_labels = labels or Labels()

    def loss(logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        if batch.teacher is None:
            raise StageError(
                f"The method {settings.name} needs the teacher's logits, and has none."
            )
        hard = with_labels(logits, batch)
        soft = teacher_loss(settings, logits, batch, with_labels.task)
        weight = settings.kd_weight * warmed_up(settings, epoch)
        total = settings.ce_weight * hard + weight * soft
        return total, {with_labels.name: hard.detach(), settings.name: soft.detach()}

    return loss


def warmed_up(settings: LogitMethod, epoch: int) -> float:
    """The share of the method's weight in an epoch (from 0)."""
    if isinstance(settings, DKDSettings):
        return min((epoch + 1) / settings.warmup_epochs, 1.0)
    return 1.0


def teacher_loss(settings: LogitMethod, outputs: Tensor, batch: Batch, task: Task) -> Tensor:
    """The method's loss with the teacher's answers, which `batch` holds."""
    teacher = batch.teacher
    assert teacher is not None
    if task == "multilabel":
        return binary_kd_loss(outputs, teacher, settings.temperature)
    if task == "regression":
        return _regression_loss(settings, outputs, teacher, batch)
    if settings.standardize:
        outputs, teacher = standardized(outputs), standardized(teacher)
    if isinstance(settings, KDSettings):
        return kd_loss(outputs, teacher, settings.temperature)
    if isinstance(settings, DISTSettings):
        return dist_loss(outputs, teacher, settings.temperature, settings.beta, settings.gamma)
    y = batch.y
    if batch.partner is not None:
        raise StageError(
            f"The method {settings.name} tells the target from the other classes, and mixed "
            "samples have two targets.",
            fix="take kd or dist, or leave mixup and cutmix out",
        )
    if isinstance(settings, DKDSettings):
        return dkd_loss(outputs, teacher, y, settings.temperature, settings.alpha, settings.beta)
    return nkd_loss(outputs, teacher, y, settings.temperature, settings.gamma)


def _regression_loss(
    settings: LogitMethod, outputs: Tensor, teacher: Tensor, batch: Batch
) -> Tensor:
    assert isinstance(settings, KDSettings)
    if settings.regression == "mimic":
        return mimic_loss(outputs, teacher)
    y = batch.y
    if batch.partner is not None and batch.share is not None:
        share = batch.share[:, None]
        y = share * y + (1 - share) * batch.partner
    return bounded_loss(outputs, teacher, y, settings.margin)


def make_objective(
    settings: LogitMethod | LabelsSettings,
    label_smoothing: float = 0.0,
    task: Task = "classification",
    regression: RegressionLoss = "mse",
) -> Objective:
    """The loss of a `method` of the pipeline file for a task.

    Raises:
        StageError: labels are to be smoothed where there are no classes, or the method does not
            suit the task.
    """
    if label_smoothing and task in ("multilabel", "regression"):
        raise no_smoothing(task)
    labels = Labels(task, label_smoothing, regression)
    if isinstance(settings, LabelsSettings):
        return labels_objective(labels=labels)
    only_classes = settings.standardize or isinstance(settings, COMPARE_CLASSES)
    if task in ("multilabel", "regression") and only_classes:
        raise StageError(
            f"The method {settings.name} compares classes, and the task is {task}.",
            fix="take the method kd, without standardize",
        )
    return distilled_objective(settings, labels)
