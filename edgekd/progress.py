"""What a long-running part tells about itself while it works.

`Progress` is silent: parts call it without asking whether anybody looks. `edgekd.report.terminal`
has the views that print.
"""

from __future__ import annotations

from typing import Self


class Progress:
    """A listener that ignores everything; subclasses override what they show.

    `with progress:` around a run lets a view take the terminal and give it back, also when the
    run fails or is interrupted.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        """The run is over, or has failed."""

    def run_started(self, name: str, stages: list[str]) -> None:
        """The run `name` is about to go through `stages`, in this order."""

    def stage_started(self, stage: str) -> None:
        """`stage` begins to work; it was not found finished."""

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        """`stage` is whole; `note` is its result in a few words ("98.9 % validation")."""

    def epoch(
        self,
        epoch: int,
        epochs: int,
        *,
        loss: float,
        accuracy: float,
        seconds: float,
        metric: str = "accuracy",
    ) -> None:
        """Epoch `epoch` of `epochs` (from 1) ended: training loss, and on the validation set the
        headline score `metric`, such as "accuracy", "macro_f1" or "r2"; 1 is the best."""

    def step(self, done: int, total: int, what: str) -> None:
        """`done` of `total` pieces of `what` ("benchmarks", "soft labels") are finished."""

    def message(self, text: str) -> None:
        """A note or warning that the user should see now."""


SILENT = Progress()
