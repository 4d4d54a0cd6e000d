"""EfficientNet-Lite0: the B0 of Tan and Le 2019 (arXiv:1905.11946), table 1, for edge devices.

Source of the changes: tensorflow/tpu, models/official/efficientnet/lite. Squeeze-and-excitation is
left out and swish is ReLU6, both for integer arithmetic; stem and head keep their size in wider
networks. A width below 1, which the source does not have, multiplies them as well. Dropout and
stochastic depth are left out.

A 3 x 3 stem, 16 inverted residual blocks of 3 x 3 and 5 x 5 convolutions, a 1 x 1 convolution to
1280 channels, the global mean, a linear classifier.

Small images: the first of the five strides become 1, see `layers.strides_for`.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.inverted import InvertedResidual
from edgekd.models.layers import conv_bn, divisible, initialise, strides_for

STEM, HEAD = 32, 1280
STAGES = (
    (1, 3, 16, 1, 1),
    (6, 3, 24, 2, 2),
    (6, 5, 40, 2, 2),
    (6, 3, 80, 3, 2),
    (6, 5, 112, 3, 1),
    (6, 5, 192, 4, 2),
    (6, 3, 320, 1, 1),
)
"""Expansion, kernel, channels, blocks, and stride of the first block, of each stage."""


class EfficientNetLite0(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more.

    Args:
        inputs: channels of the image.
        side: the image's shorter side in pixels; it decides where the map is halved.
        width: multiplies the channels, those of stem and head only below 1.
    """

    def __init__(self, inputs: int, side: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, *strides = strides_for(side, [2, *(stage[4] for stage in STAGES)])
        before, head = (divisible(count * min(1.0, width)) for count in (STEM, HEAD))
        self.stem = conv_bn(inputs, before, stride=first)
        self.stem_relu = nn.ReLU6()
        self.blocks = nn.Sequential()
        for (expansion, kernel, count, blocks, _), stride in zip(STAGES, strides, strict=True):
            outputs = divisible(count * width)
            for block in range(blocks):
                self.blocks.append(
                    InvertedResidual(
                        before,
                        expansion * before,
                        outputs,
                        kernel=kernel,
                        stride=stride if block == 0 else 1,
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
