"""A network of the digits in a file of torch's own exporter: NHWC, 0..1, probabilities."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SCALE = 1 / 16


class Net(nn.Module):
    """(N, 8, 8, 1) of 0..1 to probabilities (N, 10)."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.norm = nn.Conv2d(1, 16, 3, padding=1), nn.BatchNorm2d(16)
        self.second = nn.Conv2d(16, 16, 3, stride=2, padding=1)
        self.last = nn.Linear(16 * 16, 10)

    def logits(self, x):
        x = F.relu(self.norm(self.first(x.permute(0, 3, 1, 2))))
        return self.last(F.hardswish(self.second(x)).flatten(1))

    def forward(self, x):
        return F.softmax(self.logits(x), 1)


def write_digits_net(path: Path) -> Path:
    """Trained for a second."""
    from sklearn.datasets import load_digits

    torch.manual_seed(0)
    torch.set_num_threads(1)
    bunch = load_digits()
    x = torch.from_numpy(bunch.images.astype(np.float32))[..., None] * SCALE
    y = torch.from_numpy(bunch.target)
    net = Net()
    optimizer = torch.optim.AdamW(net.train().parameters(), 5e-3)
    for _ in range(4):
        for index in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(net.logits(x[index]), y[index]).backward()
            optimizer.step()
    torch.onnx.export(
        net.eval(), (x[:2],), path, dynamo=False, input_names=["pixels"], output_names=["p"],
        dynamic_axes={"pixels": {0: "n"}, "p": {0: "n"}}, opset_version=17,
    )  # fmt: skip
    return path
