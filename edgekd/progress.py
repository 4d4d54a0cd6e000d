"""What a long-running part tells about itself while it works.

`Progress` is silent: parts call it without asking whether anybody looks. `edgekd.report.terminal`
has the views that print.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self


@dataclass(frozen=True)
class Epoch:
    """An epoch of a training that ended."""

    number: int
    """From 1."""
    total: int
    """Epochs of the training."""
    loss: float
    """Mean over the training samples."""
    score: float
    """Of the validation set: the task's headline score; 1 is the best."""
    seconds: float
    """It took so long, with its validation."""
    metric: str = "accuracy"
    """What `score` is: accuracy, macro_f1 or r2."""


class Progress:
    """A listener that ignores everything; subclasses override what they show.

    `with progress:` around a run lets a view take the terminal and give it back, also when the
    run fails or is interrupted.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """The run is over, or has failed."""

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        """The run `name` is about to go through `stages`, in this order."""

    def stage_started(self, stage: str) -> None:
        """`stage` begins to work; it was not found finished."""

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        """`stage` is whole; `note` is its result in a few words ("98.9 % validation")."""

    def epoch(self, epoch: Epoch) -> None:
        """An epoch ended."""

    def step(self, done: int, total: int, what: str) -> None:
        """`done` of `total` pieces of `what` ("benchmarks", "soft labels") are finished."""

    def message(self, text: str) -> None:
        """A note or warning that the user should see now."""


class Relay(Progress):
    """Passes everything on to another listener; subclasses change what is passed.

    Args:
        inner: the listener. Whoever made it opens and closes it.
    """

    def __init__(self, inner: Progress) -> None:
        self.inner = inner

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        self.inner.run_started(name, stages)

    def stage_started(self, stage: str) -> None:
        self.inner.stage_started(stage)

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        self.inner.stage_finished(stage, cached=cached, seconds=seconds, note=note)

    def epoch(self, epoch: Epoch) -> None:
        self.inner.epoch(epoch)

    def step(self, done: int, total: int, what: str) -> None:
        self.inner.step(done, total, what)

    def message(self, text: str) -> None:
        self.inner.message(text)


SILENT = Progress()
