"""Deep mutual learning (Zhang et al. 2018, CVPR): students that teach each other."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from edgekd import inputs
from edgekd.config.mutual import MutualSettings
from edgekd.distill.kd import binary_kd_loss, kd_loss
from edgekd.distill.part import Cohort, Part, Step
from edgekd.errors import StageError
from edgekd.spec import Task


def mutual_losses(
    logits: Sequence[Tensor], temperature: float = 1.0, task: Task = "classification"
) -> list[Tensor]:
    """What each network of a cohort learns from the others: the mean over them of
    T² KL(p_other ‖ p_own), whose gradient goes to the own network alone.

    Zhang, Xiang, Hospedales and Lu 2018 ("Deep mutual learning"), section 3, with its extension to
    larger cohorts; T is 1 there. To be added to each network's cross-entropy with the labels. The
    paper updates one network after the other, each against the newest answers of the rest; here all
    make the same step from answers to the same batch.

    Args:
        logits: K times (B, C), of the same samples.
        temperature: T > 0.
        task: of several labels, each by itself.

    Raises:
        ValueError: there are fewer than two, the shapes differ, or T is not positive.
    """
    if len(logits) < 2:
        raise ValueError("a cohort has two networks or more")
    divergence = binary_kd_loss if task == "multilabel" else kd_loss
    return [
        torch.stack(
            [
                divergence(own, other.detach(), temperature)
                for number, other in enumerate(logits)
                if number != place
            ]
        ).mean()
        for place, own in enumerate(logits)
    ]


class Mutual(Part):
    """The student and its peers, all trained in the same steps. The peers are parameters of the
    loss: they learn with the student's optimiser, lie in its checkpoint, and never ship.

    Args:
        settings: of the method.
        cohort: the peers, and the loss with the labels that they have as the student has it.
    """

    settings: MutualSettings

    def __init__(self, settings: MutualSettings, cohort: Cohort) -> None:
        super().__init__(settings)
        if not cohort.peers:
            raise StageError("The method mutual needs networks beside the student, and has none.")
        if cohort.labels.task == "regression":
            raise StageError(
                "The method mutual compares probabilities, and the task is regression.",
                fix="take the method kd or labels",
            )
        self.peers = nn.ModuleList(cohort.peers)
        self.cohort = cohort
        self._losses: list[Tensor] = []
        self._answers: list[Tensor] = []

    def forward(self, step: Step) -> Tensor:
        """What the student learns from its peers."""
        kind = step.outputs.device.type
        with torch.autocast(kind, dtype=torch.bfloat16, enabled=self.cohort.half):
            answers = [inputs.call(peer, step.batch.x) for peer in self.peers]
        self._answers = [each.float() for each in answers]
        every = [step.outputs, *self._answers]
        loss, *self._losses = mutual_losses(
            every, self.settings.temperature, self.cohort.labels.task
        )
        return loss

    def alongside(self, step: Step) -> Tensor:
        """What the peers learn: from the labels, and from all others."""
        labels, weight = self.cohort.labels, self.weight(step.epoch)
        hard = [labels(answers, step.batch) for answers in self._answers]
        # Beside a teacher's method the student's weight of the labels is that one's; peers have
        # no teacher. Without the others, the labels alone are learned.
        share = self.settings.ce_weight if weight else 1.0
        total = share * torch.stack(hard).sum() + weight * torch.stack(self._losses).sum()
        self._answers, self._losses = [], []
        return total


make = Mutual
