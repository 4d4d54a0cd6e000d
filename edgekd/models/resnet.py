"""Residual networks for small images: He et al. 2016 (arXiv:1512.03385), section 4.2.

A 3 x 3 stem, three stages of 16, 32 and 64 channels, the global mean, a linear classifier. ResNet-8
has one block a stage, as in MLPerf Tiny (Banbury et al. 2021), ResNet-20 three, ResNet-56 nine.

Where a stage changes the shape, the shortcut is a 1 x 1 convolution with batch normalisation (the
paper's option B), not its zero-padded identity (option A): padding ties channels to fixed places,
which structured pruning cannot undo, and it exports to operators that int8 runtimes do slowly. It
costs 2,752 parameters at width 1.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.layers import channels, conv_bn, initialise

STAGES = (16, 32, 64)


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and a shortcut: (N, inputs, H, W) to (N, outputs, H', W')."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.first = conv_bn(inputs, outputs, stride=stride)
        self.relu = nn.ReLU()
        self.second = conv_bn(outputs, outputs)
        same = inputs == outputs and stride == 1
        self.shortcut = nn.Identity() if same else conv_bn(inputs, outputs, kernel=1, stride=stride)
        self.out_relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        return self.out_relu(self.second(self.relu(self.first(x))) + self.shortcut(x))


class ResNet(nn.Module):
    """(N, inputs, H, W) to logits (N, classes); sides of 4 pixels or more.

    Args:
        blocks: of each of the three stages; the network has 6 blocks + 2 weighted layers.
        inputs: channels of the image.
        width: multiplies the channels.
    """

    def __init__(self, blocks: int, inputs: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        stages = [channels(count, width) for count in STAGES]
        self.stem = conv_bn(inputs, stages[0])
        self.relu = nn.ReLU()
        self.stages = nn.Sequential()
        before = stages[0]
        for number, outputs in enumerate(stages):
            stage = nn.Sequential()
            for block in range(blocks):
                stride = 2 if number > 0 and block == 0 else 1
                stage.append(ResidualBlock(before, outputs, stride))
                before = outputs
            self.stages.append(stage)
        self.classifier = nn.Linear(before, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        features = self.stages(self.relu(self.stem(x)))
        return self.classifier(features.mean((2, 3)))
