"""MobileNetV2: Sandler et al. 2018 (arXiv:1801.04381), table 2.

A 3 x 3 stem, 17 inverted residual blocks, a 1 x 1 convolution to 1280 channels, each with batch
normalisation and ReLU6, the global mean, a linear classifier. As the paper says (section 5.1), a
width below 1 leaves the 1280 alone, so that small widths are mostly head: prune them, or take
MobileNetV1, where a few kilobytes count. Dropout is left out.

Small images: the first of the five strides become 1, see `layers.strides_for`.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.inverted import InvertedResidual
from edgekd.models.layers import conv_bn, divisible, initialise, strides_for

STEM, HEAD = 32, 1280
STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, channels, blocks, and stride of the first block, of each stage."""


class MobileNetV2(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more.

    Args:
        inputs: channels of the image.
        side: the image's shorter side in pixels; it decides where the map is halved.
        width: multiplies the channels, those of the head only above 1.
    """

    def __init__(self, inputs: int, side: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, *strides = strides_for(side, [2, *(stage[3] for stage in STAGES)])
        before, head = divisible(STEM * width), divisible(HEAD * max(1.0, width))
        self.stem = conv_bn(inputs, before, stride=first)
        self.stem_relu = nn.ReLU6()
        self.blocks = nn.Sequential()
        for (expansion, count, blocks, _), stride in zip(STAGES, strides, strict=True):
            outputs = divisible(count * width)
            for block in range(blocks):
                self.blocks.append(
                    InvertedResidual(
                        before, expansion * before, outputs, stride=stride if block == 0 else 1
                    )
                )
                before = outputs
        self.head = conv_bn(before, head, kernel=1)
        self.head_relu = nn.ReLU6()
        self.classifier = nn.Linear(head, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        features = self.blocks(self.stem_relu(self.stem(x)))
        return self.classifier(self.head_relu(self.head(features)).mean((2, 3)))
