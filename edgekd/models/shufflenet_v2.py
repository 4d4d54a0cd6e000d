"""ShuffleNetV2: Ma et al. 2018 (arXiv:1807.11164), figure 3 (c, d) and table 5.

A 3 x 3 stem and a max-pool, three stages of 4, 8 and 4 units, a 1 x 1 convolution, the global mean,
a linear classifier. A unit works on half of the channels and passes the other half on; a shuffle
mixes the halves. Channels of widths 0.5, 1, 1.5 and 2 are those of table 5; other widths multiply
those of width 1. Below 0.5 stem and head are multiplied as well.

Small images: the first of the five strides become 1, see `layers.strides_for`; a max-pool of
stride 1 is left out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from edgekd.models.layers import ChannelShuffle, conv_bn, divisible, initialise, strides_for

STEM = 24
UNITS = (4, 8, 4)
FIRST_STAGE = {0.5: 48, 1.0: 116, 1.5: 176, 2.0: 244}
"""Channels of the first stage by width; each later stage has twice as many."""


class Unit(nn.Module):
    """(N, inputs, H, W) to (N, outputs, H', W'); stride 1 keeps the channels.

    Where the map or the channels change, both halves are computed from the whole input; elsewhere
    the first half is passed on.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, *, changes: bool) -> None:
        super().__init__()
        self.kept = outputs // 2
        self.changes = changes
        before = inputs if changes else self.kept
        self.shortcut = nn.Sequential()
        if changes:
            self.shortcut.append(conv_bn(inputs, inputs, stride=stride, groups=inputs))
            self.shortcut.append(conv_bn(inputs, self.kept, kernel=1))
            self.shortcut.append(nn.ReLU())
        self.branch = nn.Sequential(
            conv_bn(before, self.kept, kernel=1),
            nn.ReLU(),
            conv_bn(self.kept, self.kept, stride=stride, groups=self.kept),
            conv_bn(self.kept, self.kept, kernel=1),
            nn.ReLU(),
        )
        self.shuffle = ChannelShuffle(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        if self.changes:
            halves = (self.shortcut(x), self.branch(x))
        else:
            halves = (x[:, : self.kept], self.branch(x[:, self.kept :]))
        return self.shuffle(torch.cat(halves, 1))


class ShuffleNetV2(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more.

    Args:
        inputs: channels of the image.
        side: the image's shorter side in pixels; it decides where the map is halved.
        width: of the channels, see the module.
    """

    def __init__(self, inputs: int, side: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        first, pool, *strides = strides_for(side, [2] * 5)
        narrow = min(1.0, 2 * width)
        before = divisible(STEM * narrow)
        head = divisible((2048 if width >= 2 else 1024) * narrow)
        outputs = FIRST_STAGE.get(width, divisible(FIRST_STAGE[1.0] * width))
        self.stem = conv_bn(inputs, before, stride=first)
        self.stem_relu = nn.ReLU()
        self.pool = nn.MaxPool2d(3, 2, 1) if pool == 2 else nn.Identity()
        self.stages = nn.Sequential()
        for units, stride in zip(UNITS, strides, strict=True):
            stage = nn.Sequential(Unit(before, outputs, stride, changes=True))
            for _ in range(units - 1):
                stage.append(Unit(outputs, outputs, 1, changes=False))
            self.stages.append(stage)
            before, outputs = outputs, 2 * outputs
        self.head = conv_bn(before, head, kernel=1)
        self.head_relu = nn.ReLU()
        self.classifier = nn.Linear(head, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        features = self.stages(self.pool(self.stem_relu(self.stem(x))))
        return self.classifier(self.head_relu(self.head(features)).mean((2, 3)))
