"""The loss of a `method` of the pipeline file: that with the labels, and one or several methods."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module

import torch
from torch import Tensor, nn

from edgekd.config.method_base import FromFeatures
from edgekd.config.methods import (
    COMPARE_CLASSES,
    CTKDSettings,
    DefaultSettings,
    DISTSettings,
    DKDSettings,
    KDSettings,
    LabelsSettings,
    Method,
    MLKDSettings,
    MutualSettings,
    OneMethod,
    PlainMethod,
    ce_weight,
    parts_of,
)
from edgekd.config.schedules import start_of, value_at
from edgekd.distill.dist import dist_loss
from edgekd.distill.dkd import dkd_loss
from edgekd.distill.kd import binary_kd_loss, bounded_loss, kd_loss, mimic_loss
from edgekd.distill.logits import standardized
from edgekd.distill.nkd import nkd_loss
from edgekd.distill.part import Cohort, Pair, Part, Step, logits_of_teacher, needs_all
from edgekd.distill.suited import suited
from edgekd.distill.topkd import top_kd_loss
from edgekd.distill.weighted import WeightedSum
from edgekd.errors import StageError
from edgekd.spec import Task
from edgekd.tasks.losses import RegressionLoss, no_smoothing
from edgekd.train.batches import Batch
from edgekd.train.labels import Labels


def teacher_loss(settings: PlainMethod, outputs: Tensor, batch: Batch, task: Task) -> Tensor:
    """The method's loss with the teacher's answers, which `batch` holds."""
    teacher, temperature = batch.teacher, start_of(settings.temperature)
    assert teacher is not None
    if task == "multilabel":
        return binary_kd_loss(outputs, teacher, temperature)
    if task == "regression":
        return _regression_loss(settings, outputs, teacher, batch)
    if settings.standardize:
        outputs, teacher = standardized(outputs), standardized(teacher)
    if isinstance(settings, KDSettings):
        return kd_loss(outputs, teacher, temperature)
    if isinstance(settings, DISTSettings):
        return dist_loss(outputs, teacher, temperature, settings.beta, settings.gamma)
    y = batch.y
    if batch.partner is not None:
        raise StageError(
            f"The method {settings.name} tells the target from the other classes, and mixed "
            "samples have two targets.",
            fix="take kd or dist, or leave mixup and cutmix out",
        )
    if isinstance(settings, DKDSettings):
        return dkd_loss(outputs, teacher, y, temperature, settings.alpha, settings.beta)
    return nkd_loss(outputs, teacher, y, temperature, settings.gamma)


def _with_top(settings: PlainMethod, outputs: Tensor, teacher: Tensor, top: Tensor) -> Tensor:
    """The loss with a teacher of whose answers the top classes were kept."""
    if not isinstance(settings, KDSettings) or settings.standardize:
        raise needs_all(settings.name)
    return top_kd_loss(outputs, teacher, top, start_of(settings.temperature))


def _regression_loss(
    settings: PlainMethod, outputs: Tensor, teacher: Tensor, batch: Batch
) -> Tensor:
    assert isinstance(settings, KDSettings)
    if settings.regression == "mimic":
        return mimic_loss(outputs, teacher)
    y = batch.y
    if batch.partner is not None and batch.share is not None:
        share = batch.share[:, None]
        y = share * y + (1 - share) * batch.partner
    return bounded_loss(outputs, teacher, y, settings.margin)


class LogitPart(Part):
    """A method on logits."""

    settings: PlainMethod

    def __init__(self, settings: PlainMethod, task: Task) -> None:
        super().__init__(settings)
        self.task: Task = task

    def weight(self, epoch: int) -> float:
        """Decoupled distillation warms up."""
        if isinstance(self.settings, DKDSettings):
            return super().weight(epoch) * min((epoch + 1) / self.settings.warmup_epochs, 1.0)
        return super().weight(epoch)

    def forward(self, step: Step) -> Tensor:
        """The loss with the cached answers of the teacher."""
        settings = self._settings(step.epoch)
        if step.batch.teacher is not None and step.batch.top is not None:
            return _with_top(settings, step.outputs, step.batch.teacher, step.batch.top)
        logits_of_teacher(step, self.name)
        return teacher_loss(settings, step.outputs, step.batch, self.task)

    def _settings(self, epoch: int) -> PlainMethod:
        """The method's, with the temperature of an epoch."""
        now = value_at(self.settings.temperature, epoch, self.epochs)
        return self.settings.model_copy(update={"temperature": now})


def make_objective(
    method: Method,
    label_smoothing: float = 0.0,
    task: Task = "classification",
    regression: RegressionLoss = "mse",
    pair: Pair | None = None,
    partly: bool = False,
    epochs: int = 1,
    goal: float | None = None,
    peers: Sequence[nn.Module] = (),
    half: bool = False,
) -> WeightedSum:
    """The loss of a `method` of the pipeline file, or of a list of methods, for a task.

    Args:
        pair: student and teacher, for methods on feature maps.
        partly: some samples have no label, and their target is -1, or NaN.
        epochs: of the training, for temperatures and weights that change.
        goal: the teacher's score on validation, for a weight that its gap drives.
        peers: networks that are trained beside the student, for `mutual`.
        half: let them compute in bfloat16.

    Raises:
        StageError: labels are to be smoothed where there are no classes, a method does not suit
            the task, a layer does not exist, or its maps cannot be compared.
    """
    method = suited(method, task)
    if label_smoothing and task in ("multilabel", "regression"):
        raise no_smoothing(task)
    labels = Labels(task, label_smoothing, regression, partly)
    cohort = Cohort(tuple(peers), labels, half)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(pair.seed if pair else 0)
        parts = [
            _part(settings, task, pair, cohort)
            for settings in parts_of(method)
            if not isinstance(settings, LabelsSettings)
        ]
    for part in parts:
        part.plan(epochs, goal)
    return WeightedSum(labels, ce_weight(method), parts, pair)


def _part(settings: OneMethod, task: Task, pair: Pair | None, cohort: Cohort) -> Part:
    assert not isinstance(settings, LabelsSettings | DefaultSettings)
    if isinstance(settings, FromFeatures) and pair is None:
        raise StageError(f"The method {settings.name} needs the teacher itself, and has none.")
    only_classes = getattr(settings, "standardize", False) or isinstance(settings, COMPARE_CLASSES)
    if task in ("multilabel", "regression") and only_classes:
        raise StageError(
            f"The method {settings.name} compares classes, and the task is {task}.",
            fix="take the method kd, without standardize",
        )
    if isinstance(settings, FromFeatures | MLKDSettings | CTKDSettings):
        # By name, so that a stage's key covers a method's code only where the method is used.
        return import_module(settings.module).make(settings, pair, task)
    if isinstance(settings, MutualSettings):
        return import_module(settings.module).make(settings, cohort)
    return LogitPart(settings, task)
