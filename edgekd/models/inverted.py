"""The inverted residual block: Sandler et al. 2018 (arXiv:1801.04381), table 1.

A pointwise convolution widens the map, a depthwise one works on it, a pointwise one without
activation narrows it again; the narrow ends are added where they have one shape. With
squeeze-and-excitation between the last two it is MobileNetV3's (Howard et al. 2019, figure 4).
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn

from edgekd.models.layers import conv_bn


class SqueezeExcite(nn.Module):
    """Weighs the channels by what the whole map shows: (N, count, H, W) to the same.

    The gate is a hard sigmoid, as in MobileNetV3.
    """

    def __init__(self, count: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(count, squeezed, 1)
        self.relu = nn.ReLU()
        self.excite = nn.Conv2d(squeezed, count, 1)
        self.gate = nn.Hardsigmoid()

    def forward(self, x: Tensor) -> Tensor:
        """x (N, count, H, W)."""
        means = x.mean((2, 3), keepdim=True)
        return x * self.gate(self.excite(self.relu(self.squeeze(means))))


class InvertedResidual(nn.Module):
    """(N, inputs, H, W) to (N, outputs, H', W').

    Args:
        hidden: channels in the middle; the widening convolution is left out where they are
            `inputs`.
        activation: makes the activation after the first two convolutions.
        squeezed: channels of squeeze-and-excitation; 0 leaves it out.
    """

    def __init__(
        self,
        inputs: int,
        hidden: int,
        outputs: int,
        *,
        kernel: int = 3,
        stride: int = 1,
        activation: Callable[[], nn.Module] = nn.ReLU6,
        squeezed: int = 0,
    ) -> None:
        super().__init__()
        self.expand = nn.Identity() if hidden == inputs else conv_bn(inputs, hidden, kernel=1)
        self.expand_activation = nn.Identity() if hidden == inputs else activation()
        self.depthwise = conv_bn(hidden, hidden, kernel=kernel, stride=stride, groups=hidden)
        self.depthwise_activation = activation()
        self.excite = SqueezeExcite(hidden, squeezed) if squeezed else nn.Identity()
        self.project = conv_bn(hidden, outputs, kernel=1)
        self.adds = inputs == outputs and stride == 1

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        y = self.expand_activation(self.expand(x))
        y = self.project(self.excite(self.depthwise_activation(self.depthwise(y))))
        return x + y if self.adds else y
