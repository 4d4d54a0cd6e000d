"""SimKD: the student ends in the teacher's classifier (Chen et al. 2022, CVPR).

Not a `method` of the pipeline file: its projector and the teacher's classifier are layers of the
student that ships, and count in its size and its latency. In your own loop the student is

    nn.Sequential(body, projector, nn.AdaptiveAvgPool2d(1), nn.Flatten(), teacher.classifier)

of which body and projector are trained, by `simkd_loss` alone.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.distill.regressor import CONVOLUTIONS, pooled


class Projector(nn.Module):
    """From the student's map to the teacher's, by convolutions of 1 x 1, 3 x 3 and 1 x 1 with batch
    normalisation and ReLU; a larger map is averaged down first.

    Args:
        student: shape of its last map without the batch, (C, H, W) or (C, L).
        teacher: likewise.
        factor: the middle has the teacher's channels over this; 2 by the authors.

    Raises:
        ValueError: the maps have different axes, or no positions.
    """

    def __init__(self, student: tuple[int, ...], teacher: tuple[int, ...], factor: int = 2) -> None:
        super().__init__()
        axes = len(teacher) - 1
        if len(student) != len(teacher) or axes not in CONVOLUTIONS:
            raise ValueError(f"student {student} and teacher {teacher}")
        convolution, _, norm = CONVOLUTIONS[axes]
        middle = max(1, teacher[0] // factor)
        self.size = tuple(min(s, t) for s, t in zip(student[1:], teacher[1:], strict=True))
        layers: list[nn.Module] = []
        for taken, given, kernel in (
            (student[0], middle, 1),
            (middle, middle, 3),
            (middle, teacher[0], 1),
        ):
            change = convolution(taken, given, kernel, padding=kernel // 2, bias=False)
            layers += [change, norm(given), nn.ReLU()]
        self.change = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """The student's map (B, C, ...) as the teacher's."""
        return self.change(pooled(x, self.size))


def simkd_loss(projected: Tensor, teacher: Tensor) -> Tensor:
    """The mean squared difference of the projected map and the teacher's, equation 2, which is the
    whole loss: no labels. A larger map of the teacher is averaged down.

    Args:
        projected: (B, C, ...), from the `Projector`.
        teacher: (B, C, ...).

    Raises:
        ValueError: the batches or channels differ.
    """
    if projected.shape[:2] != teacher.shape[:2] or projected.ndim != teacher.ndim:
        raise ValueError(f"student {tuple(projected.shape)} and teacher {tuple(teacher.shape)}")
    return F.mse_loss(projected, pooled(teacher, tuple(projected.shape[2:])))
