"""The loss with the labels of a task, and training by it alone."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from edgekd.config.training import TrainSettings
from edgekd.spec import Task
from edgekd.tasks.losses import RegressionLoss, label_loss, loss_name, no_smoothing
from edgekd.train.batches import Batch
from edgekd.train.objective import Distiller


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


class LabelsOnly(Distiller):
    """The labels' loss and nothing else: what a teacher is trained by.

    Args:
        labels: the loss.
    """

    def __init__(self, labels: Labels) -> None:
        super().__init__()
        self.labels = labels

    def forward(self, logits: Tensor, batch: Batch, epoch: int) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss, by its name."""
        loss = self.labels(logits, batch)
        return loss, {self.labels.name: loss.detach()}

    def settings(self) -> Any:
        """Those of the loss."""
        return {"labels": asdict(self.labels)}


def labels_only(train: TrainSettings, task: Task) -> LabelsOnly:
    """The loss that a training without a teacher minimises.

    Raises:
        StageError: labels are to be smoothed where there are no classes.
    """
    if train.label_smoothing and task in ("multilabel", "regression"):
        raise no_smoothing(task)
    return LabelsOnly(Labels(task, train.label_smoothing, train.regression_loss))
