"""DS-CNN for keywords: Zhang et al. 2017 (arXiv:1711.07128), the small network of its table 7.

It is MLPerf Tiny's keyword spotter (Banbury et al. 2021): a 10 x 4 stem (frames x bands) that
halves both axes, four blocks of a depthwise 3 x 3 and a pointwise 1 x 1 convolution, all of 64
channels with batch normalisation and ReLU, the global mean, a linear classifier. Dropout is left
out.

Published for 49 frames x 10 bands, whose map is 25 x 5. Larger features are halved further in the
first blocks, along the axis that is longer than 25 frames or 10 bands; an axis of fewer than 8 is
not halved.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.dscnn import BLOCKS, CHANNELS, SeparableBlock
from edgekd.models.layers import channels, conv_bn, initialise

KERNEL = (10, 4)
LARGEST_MAP = (25, 10)
"""Frames and bands that the map is brought to."""
LEAST_HALVED = 8


class KeywordDSCNN(nn.Module):
    """(N, inputs, frames, bands) to logits (N, classes); sides of 4 or more.

    Args:
        inputs: channels, 1 for log-mel features.
        size: frames and bands.
        width: multiplies the channels.
    """

    def __init__(
        self, inputs: int, size: tuple[int, int], classes: int, width: float = 1.0
    ) -> None:
        super().__init__()
        count = channels(CHANNELS, width)
        frames, bands = (axis_strides(*axis) for axis in zip(size, LARGEST_MAP, strict=True))
        stem, *blocks = zip(frames, bands, strict=True)
        padding = tuple(map(_padding, size, KERNEL, stem))
        self.stem = conv_bn(
            inputs, count, kernel=KERNEL, stride=stem, padding=(padding[0], padding[1])
        )
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential(*(SeparableBlock(count, count, stride) for stride in blocks))
        self.classifier = nn.Linear(count, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, frames, bands)."""
        features = self.blocks(self.relu(self.stem(x)))
        return self.classifier(features.mean((2, 3)))


def axis_strides(length: int, largest: int) -> list[int]:
    """Stride of the stem and of each block along an axis of `length`."""
    strides = [2 if length >= LEAST_HALVED else 1]
    length = -(-length // strides[0])
    for _ in range(BLOCKS):
        strides.append(2 if length > largest else 1)
        length = -(-length // strides[-1])
    return strides


def _padding(length: int, kernel: int, stride: int) -> int:
    """Of both ends, so that stride 2 gives half the length, rounded up; stride 1 loses one."""
    if stride == 1:
        return (kernel - 1) // 2
    outputs = -(-length // stride)
    return -(-max(0, (outputs - 1) * stride + kernel - length) // 2)
