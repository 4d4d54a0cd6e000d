"""Small networks with named layers for tests of methods on feature maps."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.distill.part import Pair
from edgekd.spec import InputSpec

SPEC = InputSpec(kind="image", shape=(1, 8, 8), mean=(0.0,), std=(1.0,))


class Net(nn.Module):
    """(B, 1, 8, 8) to logits (B, classes), by two maps of 8 x 8 and 4 x 4."""

    def __init__(self, width: int = 4, classes: int = 3) -> None:
        super().__init__()
        self.layer1 = nn.Sequential(
            nn.Conv2d(1, width, 3, padding=1, bias=False), nn.BatchNorm2d(width), nn.ReLU()
        )
        self.layer2 = nn.Sequential(
            nn.Conv2d(width, 2 * width, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(2 * width),
            nn.ReLU(),
        )
        self.classifier = nn.Linear(2 * width, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layer2(self.layer1(x)).mean((2, 3)))


def pair(student: nn.Module | None = None, teacher: nn.Module | None = None) -> Pair:
    torch.manual_seed(0)
    return Pair(student or Net(4), teacher or Net(8).eval(), SPEC)
