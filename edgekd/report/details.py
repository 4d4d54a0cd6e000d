"""What the page shows beyond `summary.json`: curves, confusions and the data's facts."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from edgekd.spec import Task
from edgekd.train.history import EpochRecord


@dataclass(frozen=True)
class Details:
    """Everything of a run that only the page shows; what is empty is left out of the page."""

    histories: dict[str, list[EpochRecord]] = field(default_factory=dict)
    """Epochs per node, such as "distill" or "distill@1"."""
    confusion: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    """Answers of "teacher" and "student" on the test set, (C, C): row true class, column answer."""
    labels: tuple[str, ...] = ()
    """Names of the C classes, labels or targets; numbers where this is empty."""
    task: Task = "classification"
    """What the answers are."""
    answers: dict[str, NDArray[np.floating]] = field(default_factory=dict)
    """Of "teacher" and "student" on the test set, (N, C): logits of several labels, or numbers in
    raw units."""
    targets: NDArray[np.floating] | None = None
    """The truth, (N, C), where there are `answers`."""
    warnings: list[str] = field(default_factory=list)
    """What the user should know beyond the warnings of stages and benchmarks."""
    samples: dict[str, int] = field(default_factory=dict)
    """Samples of "train", "validation" and "test"."""
    networks: dict[str, str] = field(default_factory=dict)
    """What "teacher" and "student" are, in a few words: "resnet20", "dscnn x 0.5"."""
