"""What the networks of the zoo share."""

from __future__ import annotations

from collections import OrderedDict

from torch import nn


def channels(count: int, width: float) -> int:
    """`count` times `width`, rounded to a multiple of 8, at least 8."""
    return max(8, int(count * width / 8 + 0.5) * 8)


def conv_bn(
    inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1
) -> nn.Sequential:
    """Convolution without bias and batch normalisation; the padding keeps the size at stride 1."""
    conv = nn.Conv2d(
        inputs, outputs, kernel, stride, padding=kernel // 2, groups=groups, bias=False
    )
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs)))


def initialise(network: nn.Module) -> None:
    """Convolutions as in He et al. 2015 (arXiv:1502.01852), equation 10, over the outputs."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
