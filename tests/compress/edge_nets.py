"""Small networks with everything that the quantizer and the pruner must cope with."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def conv_bn(inputs: int, outputs: int, kernel: int = 3, stride: int = 1, groups: int = 1):
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs))


class Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, padded: bool) -> None:
        super().__init__()
        self.first, self.second = conv_bn(inputs, outputs, 3, stride), conv_bn(outputs, outputs)
        self.stride, self.extra = stride, outputs - inputs
        same = stride == 1 and inputs == outputs
        self.shortcut = None if padded or same else conv_bn(inputs, outputs, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.second(F.relu(self.first(x)))
        if self.shortcut is not None:
            x = self.shortcut(x)
        elif self.extra:
            half = self.extra // 2
            x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        y += x
        return F.relu(y, inplace=True)


class Residual(nn.Module):
    """CIFAR ResNet with convolutions (option B) or padding (option A) on its shortcuts."""

    def __init__(self, padded: bool = False) -> None:
        super().__init__()
        self.stem = conv_bn(1, 16)
        self.blocks = nn.Sequential(Block(16, 16, 1, padded), Block(16, 32, 2, padded))
        self.dropout = nn.Dropout(0.2)
        self.classifier = nn.Linear(32, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu(self.stem(x)))
        return self.classifier(self.dropout(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1)))


class Separable(nn.Module):
    """Depthwise-separable, with relu6."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            *conv_bn(1, 16),
            nn.ReLU6(),
            *conv_bn(16, 16, groups=16),
            nn.ReLU6(inplace=True),
            *conv_bn(16, 32, 1),
            nn.ReLU(),
            nn.AvgPool2d(2),
            nn.Flatten(),
        )
        self.classifier = nn.Linear(32 * 16, 10)

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.layers(x))


class Perceptron(nn.Module):
    """Linear layers with batch norm, one without bias, one with an eps of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Flatten(),
            nn.Linear(64, 32, bias=False),
            nn.BatchNorm1d(32, eps=1e-3),
            nn.ReLU(),
            nn.Linear(32, 24),
            nn.BatchNorm1d(24),
            nn.ReLU(),
            nn.Linear(24, 10),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Mobile(nn.Module):
    """A MobileNetV3 block: hard-swish, squeeze-excite, residual add, max-pools, concat."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.expand = conv_bn(1, 8), conv_bn(8, 24, 1)
        self.depthwise, self.project = conv_bn(24, 24, groups=24), conv_bn(24, 8, 1)
        self.squeeze, self.excite = nn.Conv2d(24, 8, 1), nn.Conv2d(8, 24, 1)
        for layer in (self.stem, self.expand):
            layer[1].eps, layer[1].momentum = 1e-3, 0.01
        self.classifier = nn.Linear(16, 10)

    def forward(self, x: Tensor) -> Tensor:
        x = F.hardswish(self.stem(x))
        y = F.hardswish(self.depthwise(F.hardswish(self.expand(x))))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1))))
        x = x + self.project(y * F.hardsigmoid(gate))
        x = torch.cat([F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 2)], 1)
        return self.classifier(x.mean((2, 3)))


NETS = {
    "residual": Residual,
    "padded": lambda: Residual(padded=True),
    "separable": Separable,
    "perceptron": Perceptron,
    "mobile": Mobile,
}


def make(name: str, seed: int = 0) -> nn.Module:
    """A network with weights and batch-norm statistics as after training, in eval mode."""
    torch.manual_seed(seed)
    model = NETS[name]()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(layer.weight, 0.5, 1.5)
            nn.init.normal_(layer.bias, 0, 0.3)
            nn.init.normal_(layer.running_mean, 0, 0.1)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    return model.eval()


def inputs(count: int = 128, seed: int = 1) -> Tensor:
    """Samples (count, 1, 8, 8)."""
    return torch.randn(count, 1, 8, 8, generator=torch.Generator().manual_seed(seed))
