"""A ResNet-56 that others trained on CIFAR-10, as a user would bring it: a factory and its weights.

The network is the paper's own form (He et al. 2016, arXiv:1512.03385, section 4.2) with shortcuts
of option A, identity padded by zero channels. The weights are those of
github.com/akamaster/pytorch_resnet_cifar10 (BSD 2-clause, 6.61 % error by its README), file
`pretrained_models/resnet56-4bfd9763.th`, which is a pickle. This turns it into safetensors, through
torch's restricted reader and only if its SHA-256 is the expected one:

    python -m benchmarks.data_and_models.published_resnet56 resnet56-4bfd9763.th
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.spec import InputSpec

SHA256 = "4bfd97631478d6b638d2764fd2baff3edb1d7d82252d54439343b6596b9b5367"
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Of the pixels, 0 to 1, that the authors normalised with."""
BLOCKS, CHANNELS = 9, (16, 32, 64)


def resnet56(spec: InputSpec, classes: int) -> nn.Module:
    """From images as edgekd normalises them (N, 3, 32, 32) to logits (N, classes)."""
    return PublishedResNet(spec, classes)


class PublishedResNet(nn.Module):
    """The names of its tensors are those of the published file."""

    def __init__(self, spec: InputSpec, classes: int) -> None:
        super().__init__()
        assert spec.peak is not None
        self.renormalise = Renormalise(spec.mean, spec.std, spec.peak)
        self.conv1 = nn.Conv2d(3, CHANNELS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(CHANNELS[0])
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(*(Block(before if n == 0 else after, after) for n in range(BLOCKS)))
            for before, after in zip((CHANNELS[0], *CHANNELS), CHANNELS, strict=False)
        )
        self.linear = nn.Linear(CHANNELS[-1], classes)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, 3, H, W)."""
        x = F.relu(self.bn1(self.conv1(self.renormalise(x))))
        x = self.layer3(self.layer2(self.layer1(x)))
        return self.linear(x.mean((2, 3)))


class Renormalise(nn.Module):
    """From the data set's own mean and deviation, in units of 0 to `peak`, to the authors'."""

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...], peak: float) -> None:
        super().__init__()
        theirs = torch.tensor(MEAN), torch.tensor(DEVIATION)
        scale = torch.tensor(std) / peak / theirs[1]
        shift = (torch.tensor(mean) / peak - theirs[0]) / theirs[1]
        self.register_buffer("scale", scale.view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", shift.view(1, -1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, 3, H, W)."""
        return x * self.scale + self.shift


class Block(nn.Module):
    """Two 3 x 3 convolutions; where the channels double, the sides halve."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride, self.added = outputs // inputs, outputs - inputs
        self.conv1 = nn.Conv2d(inputs, outputs, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, H, W) to (N, outputs, H', W')."""
        kept = x
        if self.added:
            half = self.added // 2
            kept = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, half, half))
        return F.relu(self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x))))) + kept)


def main() -> None:
    """Writes the .safetensors file beside the given one."""
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    path = Path(sys.argv[1])
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != SHA256:
        sys.exit(f"{path} has SHA-256 {found}, not {SHA256}")
    saved = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    tensors = {name.removeprefix("module."): value for name, value in saved.items()}
    save_file(tensors, path.with_suffix(".safetensors"))
    print(path.with_suffix(".safetensors"))


if __name__ == "__main__":
    main()
