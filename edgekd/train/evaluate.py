"""What a network answers, and how often it is right."""

from __future__ import annotations

from itertools import chain

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd import inputs
from edgekd.data.dataset import Split
from edgekd.results import Accuracy
from edgekd.spec import Inputs
from edgekd.statistics import wilson_interval
from edgekd.train import processes
from edgekd.train.batches import Samples, normalised
from edgekd.train.precision import device


@torch.no_grad()
def logits_of(model: nn.Module, x: Samples, batch_size: int = 512) -> Tensor:
    """Logits (N, C), float32, of normalised samples (N, *shape). The model's mode is kept.

    The answers are written where they stay: joined at the end, they would be held twice.
    """
    training, total, start = model.training, inputs.length(x), 0
    model.eval()
    try:
        answers = (inputs.call(model, part).float() for part in inputs.split(x, batch_size))
        first = next(answers)
        if len(first) == total:
            return first
        found = first.new_empty(total, *first.shape[1:])
        for answer in chain([first], answers):
            found[start : start + len(answer)] = answer
            start += len(answer)
        return found
    finally:
        model.train(training)


def common_logits(model: nn.Module, x: Samples, batch_size: int = 512) -> Tensor:
    """As `logits_of`; of several processes each answers its part, and all get all answers."""
    total = inputs.length(x)
    if total < processes.count() or processes.count() == 1:
        return logits_of(model, x, batch_size)
    own = processes.part(total)
    parts = [
        logits_of(model, inputs.take(x, slice(start, min(start + batch_size, own.stop))))
        for start in range(own.start, own.stop, batch_size)
    ]
    return processes.gathered(torch.cat(parts), total)


def predict_logits(model: nn.Module, split: Split, spec: Inputs, batch_size: int = 512) -> Tensor:
    """Logits (N, C), float32, on the CPU, of a split's raw samples."""
    where = device()
    return logits_of(model.to(where), normalised(split, spec, where), batch_size).cpu()


def accuracy(logits: Tensor, y: NDArray[np.int64], *, runtime: str, split: str) -> Accuracy:
    """The share of right answers with its interval."""
    right = int((logits.argmax(1).numpy() == np.asarray(y)).sum())
    low, high = wilson_interval(right, len(y))
    return Accuracy(
        value=right / len(y), low=low, high=high, n=len(y), runtime=runtime, split=split
    )


def confusion_matrix(logits: Tensor, y: NDArray[np.int64], classes: int) -> NDArray[np.int64]:
    """(C, C) counts, rows the true class, columns the answer."""
    from torchmetrics.functional.classification import multiclass_confusion_matrix

    target = torch.from_numpy(np.array(y))
    return multiclass_confusion_matrix(logits, target, num_classes=classes).numpy()
