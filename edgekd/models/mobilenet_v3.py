"""MobileNetV3-Small: Howard et al. 2019 (arXiv:1905.02244), table 2.

A 3 x 3 stem, 11 inverted residual blocks, nine of them with squeeze-and-excitation, a 1 x 1
convolution, the global mean, a linear layer of 1024, a linear classifier; ReLU in the first blocks
and hard-swish elsewhere. Widths as torchvision reckons them: the head is multiplied as well, and
squeeze-and-excitation has a quarter of the block's channels, in multiples of 8. Dropout is left
out.

Small images: the first of the five strides become 1, see `layers.strides_for`.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.inverted import InvertedResidual
from edgekd.models.layers import conv_bn, divisible, initialise, strides_for

STEM, HEAD, HIDDEN = 16, 576, 1024
BLOCKS = (
    (3, 16, 16, True, nn.ReLU, 2),
    (3, 72, 24, False, nn.ReLU, 2),
    (3, 88, 24, False, nn.ReLU, 1),
    (5, 96, 40, True, nn.Hardswish, 2),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 240, 40, True, nn.Hardswish, 1),
    (5, 120, 48, True, nn.Hardswish, 1),
    (5, 144, 48, True, nn.Hardswish, 1),
    (5, 288, 96, True, nn.Hardswish, 2),
    (5, 576, 96, True, nn.Hardswish, 1),
    (5, 576, 96, True, nn.Hardswish, 1),
)
"""Kernel, channels in the middle and at the end, squeeze-and-excitation, activation, stride."""


class MobileNetV3Small(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more.

    Args:
        inputs: channels of the image.
        side: the image's shorter side in pixels; it decides where the map is halved.
        width: multiplies the channels.
    """

    def __init__(self, inputs: int, side: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, *strides = strides_for(side, [2, *(block[5] for block in BLOCKS)])
        before = divisible(STEM * width)
        self.stem = conv_bn(inputs, before, stride=first)
        self.stem_activation = nn.Hardswish()
        self.blocks = nn.Sequential()
        for (kernel, middle, end, excites, activation, _), stride in zip(
            BLOCKS, strides, strict=True
        ):
            hidden, outputs = divisible(middle * width), divisible(end * width)
            self.blocks.append(
                InvertedResidual(
                    before,
                    hidden,
                    outputs,
                    kernel=kernel,
                    stride=stride,
                    activation=activation,
                    squeezed=divisible(hidden // 4) if excites else 0,
                )
            )
            before = outputs
        head, last = HEAD // 96 * before, divisible(HIDDEN * width)
        self.head = conv_bn(before, head, kernel=1)
        self.head_activation = nn.Hardswish()
        self.hidden = nn.Linear(head, last)
        self.hidden_activation = nn.Hardswish()
        self.classifier = nn.Linear(last, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        features = self.blocks(self.stem_activation(self.stem(x)))
        means = self.head_activation(self.head(features)).mean((2, 3))
        return self.classifier(self.hidden_activation(self.hidden(means)))
