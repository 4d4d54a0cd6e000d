"""Regressors: from the student's feature map to the shape of the teacher's."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

CONVOLUTIONS = {
    1: (nn.Conv1d, nn.ConvTranspose1d, nn.BatchNorm1d),
    2: (nn.Conv2d, nn.ConvTranspose2d, nn.BatchNorm2d),
}
"""By the number of axes of positions."""


class Regressor(nn.Module):
    """(B, C, ...) to (B, C', ...): a convolution and batch normalisation; of vectors (B, D), a
    linear layer.

    At equal size it is 1 x 1, at twice the size 3 x 3 with a stride of 2, at half the size a
    transposed one of 4 x 4, as in the code of CRD (Tian et al. 2020); another larger map is pooled
    after a 1 x 1 convolution.

    Args:
        student: its map's shape without the batch, (C, H, W), (C, L) or (D,).
        teacher: likewise.

    Raises:
        ValueError: the student's map is smaller than the teacher's, and not half of it, or one of
            them has positions and the other none.
    """

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...]) -> None:
        super().__init__()
        axes = len(student) - 1
        if len(teacher) != len(student) or axes > 2:
            raise ValueError("they have different axes")
        self.size = teacher[1:]
        self.pools = False
        if axes == 0:
            self.change: nn.Module = nn.Linear(student[0], teacher[0])
            return
        convolution, transposed, norm = CONVOLUTIONS[axes]
        ends = list(zip(student[1:], teacher[1:], strict=True))
        channels = (student[0], teacher[0])
        if all(s == t for s, t in ends):
            change = convolution(*channels, 1, bias=False)
        elif all(s == 2 * t for s, t in ends):
            change = convolution(*channels, 3, stride=2, padding=1, bias=False)
        elif all(2 * s == t for s, t in ends):
            change = transposed(*channels, 4, stride=2, padding=1, bias=False)
        elif all(s >= t for s, t in ends):
            change, self.pools = convolution(*channels, 1, bias=False), True
        else:
            raise ValueError("the student's map is smaller, and not half of the teacher's")
        self.change = nn.Sequential(change, norm(teacher[0]))

    def forward(self, x: Tensor) -> Tensor:
        """The student's map in the teacher's shape."""
        changed = self.change(x)
        return pooled(changed, self.size) if self.pools else changed


def smaller(student: Sequence[int], teacher: Sequence[int]) -> tuple[int, ...]:
    """The positions that both maps (C, ...) can be averaged down to."""
    return tuple(min(s, t) for s, t in zip(student[1:], teacher[1:], strict=True))


def pooled(x: Tensor, size: tuple[int, ...]) -> Tensor:
    """A map (B, C, ...) averaged down to (B, C, *size)."""
    if tuple(x.shape[2:]) == size:
        return x
    pool = F.adaptive_avg_pool1d if len(size) == 1 else F.adaptive_avg_pool2d
    return pool(x, size)  # type: ignore[arg-type]
