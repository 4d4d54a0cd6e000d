"""FitNets: hints from the teacher's feature maps (Romero et al. 2015, ICLR)."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.features import PairPart
from edgekd.distill.part import Step
from edgekd.distill.regressor import Regressor


def hint_loss(student: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference: equation 3, with a mean in place of half the sum, as in the
    code of CRD (Tian et al. 2020), where its weight is 100.

    Args:
        student: (B, ...), after the regressor.
        teacher: likewise.

    Raises:
        ValueError: the shapes differ.
    """
    if student.shape != teacher.shape:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    return F.mse_loss(student, teacher)


class FitNet(PairPart):
    """Hints at each pair of layers, through a regressor each, all along the training."""

    def prepare(self) -> None:
        """The regressors."""
        self.regressors = nn.ModuleList()
        for number, (student, teacher) in enumerate(self.shapes):
            try:
                self.regressors.append(Regressor(student, teacher))
            except ValueError as error:
                raise self.unlike(number, str(error)) from error

    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """The hint's loss."""
        return hint_loss(self.regressors[number](student), teacher)


make = FitNet
