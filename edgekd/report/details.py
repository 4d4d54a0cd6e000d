"""What the page shows beyond `summary.json`: curves, confusions and the data's facts."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class EpochRecord:
    """One epoch of training."""

    epoch: int
    """From 1."""
    loss: float
    """Mean training loss."""
    validation_accuracy: float
    """0 to 1."""
    learning_rate: float
    """At the end of the epoch."""
    seconds: float
    """Time of the epoch."""
    parts: dict[str, float] = field(default_factory=dict)
    """Named parts of the loss."""


@dataclass(frozen=True)
class Details:
    """Everything of a run that only the page shows; what is empty is left out of the page."""

    histories: dict[str, list[EpochRecord]] = field(default_factory=dict)
    """Epochs per node, such as "distill" or "distill@1"."""
    confusion: dict[str, NDArray[np.integer[Any]]] = field(default_factory=dict)
    """Answers of "teacher" and "student" on the test set, (C, C): row true class, column answer."""
    labels: tuple[str, ...] = ()
    """Names of the C classes; numbers where this is empty."""
    warnings: list[str] = field(default_factory=list)
    """What the user should know beyond the warnings of stages and benchmarks."""
    samples: dict[str, int] = field(default_factory=dict)
    """Samples of "train", "validation" and "test"."""
    networks: dict[str, str] = field(default_factory=dict)
    """What "teacher" and "student" are, in a few words: "resnet20", "dscnn x 0.5"."""
