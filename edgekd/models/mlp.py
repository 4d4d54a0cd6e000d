"""A perceptron of two hidden layers, for rows and, flattened, for small images."""

from __future__ import annotations

import math

from torch import Tensor, nn

from edgekd.models.layers import channels

HIDDEN = (256, 128)


class MLP(nn.Module):
    """(N, *shape) to logits (N, classes).

    Args:
        shape: of a sample, (F,) or (C, H, W).
        width: multiplies the 256 and 128 hidden units.
    """

    def __init__(self, shape: tuple[int, ...], classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, second = (channels(count, width) for count in HIDDEN)
        self.flatten = nn.Flatten()
        self.first = nn.Linear(math.prod(shape), first)
        self.first_relu = nn.ReLU()
        self.second = nn.Linear(first, second)
        self.second_relu = nn.ReLU()
        self.classifier = nn.Linear(second, classes)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, *shape)."""
        hidden = self.first_relu(self.first(self.flatten(x)))
        return self.classifier(self.second_relu(self.second(hidden)))
