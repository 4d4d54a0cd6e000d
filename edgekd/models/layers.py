"""What the networks of the zoo share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

LEAST_MAP_SIDE = 3
"""Shorter side of the last map, in positions: MobileNet's own at 96 x 96 pixels."""


def channels(count: int, width: float) -> int:
    """`count` times `width`, rounded to a multiple of 8, at least 8."""
    return max(8, int(count * width / 8 + 0.5) * 8)


def divisible(count: float) -> int:
    """`count` rounded to a multiple of 8, at least 8, but never to less than nine tenths of it.

    The rule of the MobileNetV2 and V3 authors (tensorflow/models, slim/nets/mobilenet,
    `make_divisible`), which their parameter counts at other widths than 1 rest on.
    """
    rounded = max(8, int(count + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * count else rounded


def strides_for(side: int, published: Sequence[int]) -> list[int]:
    """The strides of a network that was published for large images, for an image of any size.

    The first strides of 2 become 1 until the last map's shorter side is at least
    `LEAST_MAP_SIDE`: from 65 pixels on, a network of five keeps them all; at 32 x 32 its first
    two go, and its last map is 4 x 4.

    Args:
        side: the image's shorter side in pixels.
        published: stride of each layer in their order, 1 or 2.
    """
    halvings = 0
    while side > 2 * (LEAST_MAP_SIDE - 1):
        side = (side + 1) // 2
        halvings += 1
    dropped = max(0, published.count(2) - halvings)
    fitted = []
    for stride in published:
        drops = stride == 2 and dropped > 0
        dropped -= drops
        fitted.append(1 if drops else stride)
    return fitted


def conv_bn(
    inputs: int,
    outputs: int,
    *,
    kernel: int | tuple[int, int] = 3,
    stride: int | tuple[int, int] = 1,
    padding: int | tuple[int, int] | None = None,
    groups: int = 1,
) -> nn.Sequential:
    """Convolution without bias and batch normalisation.

    Args:
        padding: left out, an odd kernel keeps the size at stride 1.
    """
    if padding is None:
        padding = kernel // 2 if isinstance(kernel, int) else (kernel[0] // 2, kernel[1] // 2)
    conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
    return nn.Sequential(OrderedDict(conv=conv, bn=nn.BatchNorm2d(outputs)))


class ChannelShuffle(nn.Module):
    """Channels of the two halves in turn: (N, C, H, W) to the same.

    Pruning takes it for a border: channels before and after it stay as they are.
    """

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count

    def forward(self, x: Tensor) -> Tensor:
        """x (N, count, H, W)."""
        height, width = x.shape[2:]
        halves = x.view(-1, 2, self.count // 2, height, width)
        return halves.transpose(1, 2).reshape(-1, self.count, height, width)


def initialise(network: nn.Module) -> None:
    """Convolutions as in He et al. 2015 (arXiv:1502.01852), equation 10, over the outputs."""
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, mode="fan_out", nonlinearity="relu")
