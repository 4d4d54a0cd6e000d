"""The pair of the published CIFAR-100 tables: ResNet32x4 and ResNet8x4.

They are residual networks for small images (He et al. 2016) with stages of 64, 128 and 256 channels
after a stem of 32, as in RepDistiller (Tian et al. 2020), of whose networks the parameters here are
the same: 7,433,860 and 1,233,540 with 100 classes.
"""

from __future__ import annotations

from torch import Tensor, nn

from edgekd.models.layers import conv_bn, initialise
from edgekd.models.resnet import ResidualBlock
from edgekd.spec import InputSpec

STEM, STAGES = 32, (64, 128, 256)


def resnet32x4(spec: InputSpec, classes: int) -> nn.Module:
    """The teacher, five blocks a stage."""
    return ResNetX4(5, spec.shape[0], classes)


def resnet8x4(spec: InputSpec, classes: int) -> nn.Module:
    """The student, one block a stage."""
    return ResNetX4(1, spec.shape[0], classes)


class ResNetX4(nn.Module):
    """(N, inputs, H, W) to logits (N, classes).

    Args:
        blocks: of each stage.
        inputs: channels of the image.
    """

    def __init__(self, blocks: int, inputs: int, classes: int) -> None:
        super().__init__()
        self.stem = conv_bn(inputs, STEM)
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                ResidualBlock(before, outputs, stride=1 if before == STEM else 2),
                *(ResidualBlock(outputs, outputs, stride=1) for _ in range(blocks - 1)),
            )
            for before, outputs in zip((STEM, *STAGES), STAGES, strict=False)
        )
        self.classifier = nn.Linear(STAGES[-1], classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W)."""
        x = self.relu(self.stem(x))
        for stage in (self.layer1, self.layer2, self.layer3):
            x = stage(x)
        return self.classifier(x.mean((2, 3)))
