"""A small 1-D CNN for windows of a signal.

Convolution, batch normalisation and ReLU four times, the global mean, a linear classifier: the
fully convolutional network of Wang, Yan and Oates 2017 (arXiv:1611.06455), whose three layers have
128, 256 and 128 channels and no strides, made small: here the window is shortened on the way until
at most 8 positions are left.

The layers are 2-D convolutions of height 1: both runtimes have their best int8 kernels for those,
and no operator around them stays float.
"""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn

from edgekd.models.layers import channels, conv_bn, initialise

LAYERS = ((32, 9), (64, 5), (64, 5), (128, 3))
"""Channels and kernel of each layer."""
POSITIONS = 8
"""The window is shortened until at most so many positions are left."""


class CNN1D(nn.Module):
    """(N, inputs, T) to logits (N, classes); any number of channels and any length.

    Args:
        inputs: channels of the signal.
        length: T, steps of a window; it decides where the window is shortened.
        width: multiplies the channels of the layers.
    """

    def __init__(self, inputs: int, length: int, classes: int, width: float = 1.0) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        steps = zip(LAYERS, strides(length), strict=True)
        for number, ((count, kernel), stride) in enumerate(steps):
            outputs = channels(count, width)
            layers[f"{number}"] = conv_bn(inputs, outputs, kernel=(1, kernel), stride=(1, stride))
            layers[f"{number}_relu"] = nn.ReLU()
            inputs = outputs
        self.layers = nn.Sequential(layers)
        self.classifier = nn.Linear(inputs, classes)
        initialise(self)

    def forward(self, x: Tensor) -> Tensor:
        """x (N, inputs, T)."""
        return self.classifier(self.layers(x.unsqueeze(2)).mean((2, 3)))


def strides(length: int) -> list[int]:
    """Stride of each layer: 2 while more than `POSITIONS` are left, 4 where 2 in every layer that
    follows would not be enough.
    """
    found = []
    for left in range(len(LAYERS), 0, -1):
        stride = 4 if length > POSITIONS * 2**left else 2 if length > POSITIONS else 1
        found.append(stride)
        length = -(-length // stride)
    return found
