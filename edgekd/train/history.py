"""What a training went through, epoch by epoch."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from edgekd.store import read_json, write_json

FILE = "history.json"


@dataclass(frozen=True)
class EpochRecord:
    """One pass over the training set."""

    epoch: int
    """From 1."""
    loss: float
    """Mean training loss."""
    validation_loss: float
    """Mean of the task's loss with the labels on the validation set."""
    validation_accuracy: float
    """The task's headline score (accuracy, macro F1 or R²; 1 is the best), with the weights that
    would be kept (EMA where it is on)."""
    learning_rate: float
    """At the last step of the epoch."""
    seconds: float
    """Wall time."""
    parts: dict[str, float] = field(default_factory=dict)
    """Means of the loss's named parts."""


@dataclass(frozen=True)
class History:
    """All epochs of a training, and which one was kept."""

    epochs: tuple[EpochRecord, ...]
    best_epoch: int
    """The epoch (from 1) whose weights are the result."""

    def save(self, folder: Path) -> None:
        """Writes `history.json`."""
        write_json(folder / FILE, asdict(self))

    @staticmethod
    def load(folder: Path) -> History:
        """Reads `history.json`."""
        raw: dict[str, Any] = read_json(folder / FILE)
        epochs = tuple(EpochRecord(**record) for record in raw["epochs"])
        return History(epochs, raw["best_epoch"])
