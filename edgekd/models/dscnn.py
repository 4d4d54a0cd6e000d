"""A small depthwise-separable network, after DS-CNN of Zhang et al. 2017 (arXiv:1711.07128).

A 3 x 3 stem of 64 channels, four blocks of a depthwise 3 x 3 and a pointwise 1 x 1 convolution,
each with batch normalisation and ReLU, the global mean, a linear classifier: the "small" network of
the paper and of MLPerf Tiny, with a square stem for images.

The map is halved until its shorter side is at most 8: in the first two blocks, in larger images in
the stem as well, then in the blocks that are left. 8 x 8 images are not halved at all.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from edgekd.models.layers import channels, conv_bn, initialise

CHANNELS = 64
BLOCKS = 4
MAP_SIDE = 8
"""The map is halved until its shorter side is at most this."""


class SeparableBlock(nn.Module):
    """Depthwise, then pointwise: (N, inputs, H, W) to (N, outputs, H', W')."""

    def __init__(self, inputs: int, outputs: int, stride: int | tuple[int, int]) -> None:
        super().__init__()
        self.depthwise = conv_bn(inputs, inputs, stride=stride, groups=inputs)
        self.depthwise_relu = nn.ReLU()
        self.pointwise = conv_bn(inputs, outputs, kernel=1)
        self.pointwise_relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        return self.pointwise_relu(self.pointwise(self.depthwise_relu(self.depthwise(x))))


class DSCNN(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more.

    Args:
        inputs: channels of the image.
        side: the image's shorter side in pixels; it decides where the map is halved.
        width: multiplies the channels.
    """

    def __init__(self, inputs: int, side: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        count = channels(CHANNELS, width)
        stem, *blocks = strides(side)
        self.stem = conv_bn(inputs, count, stride=stem)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(
            OrderedDict(
                (f"{i}", SeparableBlock(count, count, stride)) for i, stride in enumerate(blocks)
            )
        )
        self.classifier = nn.Linear(count, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        features = self.blocks(self.relu(self.stem(x)))
        return self.classifier(features.mean((2, 3)))


def strides(side: int) -> list[int]:
    """Stride of the stem and of each block for an image whose shorter side is `side`."""
    halvings = 0
    while side > MAP_SIDE and halvings <= BLOCKS:
        side = (side + 1) // 2
        halvings += 1
    in_stem = halvings > 2
    in_blocks = halvings - in_stem
    return [1 + in_stem, *(2 if block < in_blocks else 1 for block in range(BLOCKS))]
