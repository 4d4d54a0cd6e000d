"""Attention transfer (Zagoruyko and Komodakis 2017, ICLR)."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F

from edgekd.config.feature_methods import ATSettings
from edgekd.distill.features import PairPart
from edgekd.distill.part import Step
from edgekd.distill.regressor import pooled, smaller


def attention(x: Tensor, power: float = 2.0) -> Tensor:
    """Where a map (B, C, ...) is strong: the sum of |x|^p over the channels, (B, positions), of
    length 1 for each sample."""
    return F.normalize(x.abs().pow(power).sum(1).flatten(1))


def at_loss(student: Tensor, teacher: Tensor, power: float = 2.0) -> Tensor:
    """The mean squared difference of the attention maps: equation 2 as in the authors' code, which
    takes the square of the distance and a mean over batch and positions; its weight there is 1000.

    The larger map is averaged down to the smaller one's positions.

    Args:
        student: (B, C, H, W) or (B, C, L).
        teacher: likewise; its channels may be others.
        power: p of the sum over the channels.

    Raises:
        ValueError: a map has no positions, or they have different axes.
    """
    if student.ndim != teacher.ndim or student.ndim < 3:
        raise ValueError(f"student {tuple(student.shape)} and teacher {tuple(teacher.shape)}")
    size = smaller(student.shape[1:], teacher.shape[1:])
    ours, theirs = (attention(pooled(x, size), power) for x in (student, teacher))
    return (ours - theirs).square().mean()


class AT(PairPart):
    """Attention transfer at each pair of layers."""

    settings: ATSettings
    every_size = True

    def prepare(self) -> None:
        """Refuses maps without positions."""
        for number, (student, teacher) in enumerate(self.shapes):
            if len(student) != len(teacher) or len(student) < 2:
                raise self.unlike(number, "attention is over positions")

    def needed(self, number: int, teacher: Tensor) -> Tensor:
        """The attention map."""
        return attention(pooled(teacher, self._size(number)), self.settings.power)

    def compare(self, number: int, student: Tensor, teacher: Tensor, step: Step) -> Tensor:
        """The distance of the attention maps, as `at_loss`."""
        ours = attention(pooled(student, self._size(number)), self.settings.power)
        return (ours - teacher).square().mean()

    def _size(self, number: int) -> tuple[int, ...]:
        return smaller(*self.shapes[number])


make = AT
