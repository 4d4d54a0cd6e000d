"""The training loop that everybody writes: float32, NCHW, a Dataset, a DataLoader."""

from __future__ import annotations

import time

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.spec import InputSpec
from edgekd.train.schedule import rate_factor

PADDING = 4


class Pictures(Dataset[tuple[Tensor, int]]):
    """Pictures in memory (N, 3, H, W) uint8, each cropped, mirrored and normalised when asked for.

    A crop is cut from the picture with a border of 4 pixels of the mean colour.
    """

    def __init__(self, split: Split, spec: InputSpec) -> None:
        self.x: NDArray[np.uint8] = np.array(split.x)
        self.y: list[int] = split.y.tolist()
        self.mean = torch.tensor(spec.mean)[:, None, None]
        self.std = torch.tensor(spec.std)[:, None, None]

    def __len__(self) -> int:
        return len(self.y)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        picture = (torch.from_numpy(self.x[index]).float() - self.mean) / self.std
        height, width = picture.shape[1:]
        top, left = torch.randint(2 * PADDING + 1, (2,)).tolist()
        picture = F.pad(picture, (PADDING,) * 4)[:, top : top + height, left : left + width]
        if torch.rand(()) < 0.5:
            picture = picture.flip(2)
        return picture, self.y[index]


def loader(split: Split, spec: InputSpec, batch_size: int, workers: int) -> DataLoader:
    """Shuffled batches; workers stay alive between epochs."""
    return DataLoader(
        Pictures(split, spec),
        batch_size,
        shuffle=True,
        num_workers=workers,
        persistent_workers=workers > 0,
    )


def train(model: nn.Module, batches: DataLoader, settings: TrainSettings) -> list[float]:
    """Trains with SGD and the settings' schedule; returns the wall seconds of each epoch."""
    decaying = [p for p in model.parameters() if p.ndim >= 2]
    others = [p for p in model.parameters() if p.ndim < 2]
    optimizer = torch.optim.SGD(
        [{"params": decaying}, {"params": others, "weight_decay": 0.0}],
        lr=settings.learning_rate,
        momentum=settings.momentum,
        weight_decay=settings.weight_decay,
        nesterov=True,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_factor(settings, step, len(batches))
    )
    seconds = []
    for _ in range(settings.epochs):
        begin = time.perf_counter()
        model.train()
        total = 0.0
        for x, y in batches:
            loss = F.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            total += loss.item()
        seconds.append(time.perf_counter() - begin)
    return seconds
