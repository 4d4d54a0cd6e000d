"""The clock of a bounded command, and a listener that stops a training in time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from edgekd.progress import Epoch, Progress, Relay

TELLING = 10.0
"""Seconds of training that tell whether the machine has become slower: shorter epochs are mostly
overhead that was not planned."""
MOST_SLOWER = 2.0
"""More than so many times is no measure of the machine any more."""


class OutOfTime(Exception):
    """The training will be stopped after `epoch` epochs, which are kept."""

    def __init__(self, stage: str, epoch: int) -> None:
        super().__init__(f"{stage}, after epoch {epoch}")
        self.stage = stage
        self.epoch = epoch


@dataclass
class Clock:
    """Seconds since the command began, and how many it may take."""

    bound: float
    now: Callable[[], float] = time.monotonic
    started: float = field(init=False)

    def __post_init__(self) -> None:
        self.started = self.now()

    @property
    def spent(self) -> float:
        """Seconds so far."""
        return self.now() - self.started

    @property
    def left(self) -> float:
        """Seconds until the bound; negative beyond it."""
        return self.bound - self.spent


class Watched(Relay):
    """Passes everything on, tells each stage once, and looks at the clock after each epoch.

    Args:
        inner: what shows it.
        clock: the command's.
    """

    def __init__(self, inner: Progress, clock: Clock) -> None:
        super().__init__(inner)
        self.clock = clock
        self._reserve: float | None = None
        """Seconds that have to be left when the training ends; None does not watch."""
        self._planned = 0.0
        self._took: list[float] = []
        self.stage = ""
        self._told: set[str] = set()
        self._shown = ""
        self._last = 0.0

    def outline(self, name: str, stages: Sequence[str]) -> None:
        """Tells which stages are to come; those that were told are left out."""
        self.inner.run_started(name, [stage for stage in stages if stage not in self._told])

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        """Each part of the command is a run: only the outline is shown."""

    def stage_started(self, stage: str) -> None:
        self.stage, self._last = stage, self.clock.spent
        if stage not in self._told and stage != self._shown:
            self._shown = stage
            self.inner.stage_started(stage)

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        if stage in self._told:
            return
        self._told.add(stage)
        self.inner.stage_finished(stage, cached=cached, seconds=seconds, note=note)

    def watch(self, reserve: float, epoch: float) -> None:
        """Watches the next training.

        Args:
            reserve: seconds that have to be left when it ends, at the speed that was measured.
            epoch: seconds that each of its epochs was planned to take.
        """
        self._reserve, self._planned, self._took = reserve, epoch, []

    def unwatch(self) -> float:
        """Watches no longer; how many times longer the epochs took than was planned, 1 to 2."""
        slowness = self._slowness
        self._reserve, self._took = None, []
        return slowness

    @property
    def _slowness(self) -> float:
        if sum(self._took) < TELLING or not self._planned:
            return 1.0
        return min(MOST_SLOWER, max(1.0, sum(self._took) / len(self._took) / self._planned))

    def epoch(self, epoch: Epoch) -> None:
        super().epoch(epoch)
        took, self._last = self.clock.spent - self._last, self.clock.spent
        if self._reserve is None:
            return
        self._took.append(epoch.seconds)
        late = self.clock.left - took < self._reserve * self._slowness
        if late and epoch.number < epoch.total:
            raise OutOfTime(self.stage, epoch.number)
