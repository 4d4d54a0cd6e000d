"""Distillation losses on a network's outputs, and the loss with the labels beside them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor
from torch.nn import functional as F

from edgekd.config.stages import KDSettings, LabelsSettings
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
    _check(student, teacher, temperature)
    log_q = F.log_softmax(student.float() / temperature, dim=1)
    log_p = F.log_softmax(teacher.float() / temperature, dim=1)
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
    _check(student, teacher, temperature)
    of_student, of_teacher = student.float() / temperature, teacher.float() / temperature
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


def kd_objective(settings: KDSettings, labels: Labels | None = None) -> Objective:
    """ce_weight * the loss with the labels + kd_weight * the task's loss with the teacher."""
    with_labels = labels or Labels()

    def loss(logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        if batch.teacher is None:
            raise StageError("The method kd needs the teacher's logits, and there are none.")
        hard = with_labels(logits, batch)
        soft = teacher_loss(settings, logits, batch, with_labels.task)
        total = settings.ce_weight * hard + settings.kd_weight * soft
        return total, {with_labels.name: hard.detach(), "kd": soft.detach()}

    return loss


def teacher_loss(settings: KDSettings, outputs: Tensor, batch: Batch, task: Task) -> Tensor:
    """The task's loss with the teacher's answers, which `batch` holds."""
    teacher = batch.teacher
    assert teacher is not None
    if task == "multilabel":
        return binary_kd_loss(outputs, teacher, settings.temperature)
    if task != "regression":
        return kd_loss(outputs, teacher, settings.temperature)
    if settings.regression == "mimic":
        return mimic_loss(outputs, teacher)
    y = batch.y
    if batch.partner is not None and batch.share is not None:
        share = batch.share[:, None]
        y = share * y + (1 - share) * batch.partner
    return bounded_loss(outputs, teacher, y, settings.margin)


def make_objective(
    settings: KDSettings | LabelsSettings,
    label_smoothing: float = 0.0,
    task: Task = "classification",
    regression: RegressionLoss = "mse",
) -> Objective:
    """The loss of a `method` of the pipeline file for a task.

    Raises:
        StageError: labels are to be smoothed, and the task has no classes.
    """
    if label_smoothing and task in ("multilabel", "regression"):
        raise no_smoothing(task)
    labels = Labels(task, label_smoothing, regression)
    if isinstance(settings, KDSettings):
        return kd_objective(settings, labels)
    return labels_objective(labels=labels)


def _check(student: Tensor, teacher: Tensor, temperature: float) -> None:
    if student.shape != teacher.shape:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    if temperature <= 0:
        raise ValueError(f"temperature {temperature} is not positive")
