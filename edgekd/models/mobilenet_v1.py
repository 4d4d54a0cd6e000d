"""MobileNetV1: Howard et al. 2017 (arXiv:1704.04861), table 1.

A 3 x 3 stem, 13 blocks of a depthwise 3 x 3 and a pointwise 1 x 1 convolution, each with batch
normalisation and ReLU, the global mean, a linear classifier. At width 0.25 and 96 x 96 pixels it is
the person detector of MLPerf Tiny (Banbury et al. 2021).

Small images: the first of the five strides become 1, see `layers.strides_for`.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.dscnn import SeparableBlock
from edgekd.models.layers import channels, conv_bn, initialise, strides_for

STEM = 32
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1),
    (512, 1), (512, 1), (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
"""Channels and stride of each block."""


class MobileNetV1(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more.

    Args:
        inputs: channels of the image.
        side: the image's shorter side in pixels; it decides where the map is halved.
        width: multiplies the channels (the paper's alpha).
    """

    def __init__(self, inputs: int, side: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, *strides = strides_for(side, [2, *(stride for _, stride in BLOCKS)])
        before = channels(STEM, width)
        self.stem = conv_bn(inputs, before, stride=first)
        self.relu = nn.ReLU()
        self.blocks = nn.Sequential()
        for (count, _), stride in zip(BLOCKS, strides, strict=True):
            outputs = channels(count, width)
            self.blocks.append(SeparableBlock(before, outputs, stride))
            before = outputs
        self.classifier = nn.Linear(before, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        features = self.blocks(self.relu(self.stem(x)))
        return self.classifier(features.mean((2, 3)))
