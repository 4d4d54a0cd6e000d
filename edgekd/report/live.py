"""The live view of a run: finished stages stay as lines, the working one is redrawn beneath."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from edgekd.progress import Epoch, Progress
from edgekd.report import units
from edgekd.tasks import names


@dataclass
class _Work:
    """The stage that works, and how far it is."""

    stage: str
    started: float
    first: int = 0
    """Pieces that were done before the first report: a stage that goes on from a checkpoint."""
    done: int = 0
    total: int = 0
    what: str = ""
    figures: str = ""


class LiveProgress(Progress):
    """Shows a run on a terminal. Use it as a context manager, so that the cursor comes back.

    Args:
        console: rich's console.
        clock: seconds, only for tests.
    """

    def __init__(self, console: Console, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._pending: list[str] = []
        self._width = 10
        self._work: _Work | None = None
        self._spinner = Spinner("line" if _plain_signs(console) else "dots", style="cyan")
        self._live = Live(
            console=console, get_renderable=self.render, refresh_per_second=8, transient=True
        )

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._live.stop()

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        self._pending = list(stages)
        self._width = min(24, max([10, *map(len, stages)]))
        self._console.print(Text(name, style="bold"))

    def stage_started(self, stage: str) -> None:
        self._leave(stage)
        self._work = _Work(stage, self._clock())

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        self._leave(stage)
        self._work = None
        ascii_only = _plain_signs(self._console)
        sign, style = ("=", "dim") if cached else ("ok" if ascii_only else "✓", "green")
        spent = "cached" if cached else units.duration(seconds)
        line = Table.grid(padding=(0, 2, 0, 0))
        line.add_column(width=2)
        line.add_column(width=self._width, overflow="fold")
        line.add_column(width=11, justify="right", no_wrap=True)
        line.add_column(overflow="fold")
        line.add_row(Text(sign, style), Text(stage), Text(spent, "dim"), Text(note))
        self._console.print(line)

    def epoch(self, epoch: Epoch) -> None:
        self._advance(epoch.number, epoch.total, "epochs")
        if self._work is not None:
            score = f"{names.title(epoch.metric)} {units.score(epoch.score, epoch.metric)}"
            self._work.figures = f"loss {units.significant(epoch.loss)}  {score}"

    def step(self, done: int, total: int, what: str) -> None:
        self._advance(done, total, what)

    def message(self, text: str) -> None:
        self._console.print(Text(text, "yellow"))

    def render(self) -> RenderableType:
        """What is redrawn: the working stage, and the ones that wait."""
        lines: list[RenderableType] = []
        if self._work is not None:
            lines.append(self._working(self._work))
        if self._pending:
            waiting = Text(f"   then {', '.join(self._pending)}", "dim", no_wrap=True)
            waiting.truncate(max(8, self._console.width - 1), overflow="ellipsis")
            lines.append(waiting)
        return Group(*lines)

    def _working(self, work: _Work) -> RenderableType:
        now = self._clock()
        head = Table.grid(padding=(0, 2, 0, 0))
        head.add_column(width=2)
        head.add_column(width=self._width, no_wrap=True)
        head.add_column(width=11, justify="right", no_wrap=True)
        head.add_column(no_wrap=True)
        head.add_column(no_wrap=True)
        elapsed = Text(units.duration(now - work.started), "dim")
        cells: list[RenderableType] = [self._spinner, Text(work.stage, "bold"), elapsed]
        if work.total:
            width = max(8, min(28, self._console.width - self._width - 42))
            cells.append(ProgressBar(total=work.total, completed=work.done, width=width))
            cells.append(Text(f"{work.done}/{work.total} {work.what}"))
        head.add_row(*cells)
        below = [text for text in (work.figures, self._left(work)) if text]
        if not below:
            return head
        facts = "  ".join(below)
        indent = max(2, min(self._width + 19, self._console.width - len(facts) - 1))
        return Group(head, Text(" " * indent + facts, "cyan", no_wrap=True))

    def _left(self, work: _Work) -> str:
        """The time left, judged by the pieces that were done since the stage started."""
        here = work.done - work.first
        if here <= 0 or work.done >= work.total:
            return ""
        rate = (self._clock() - work.started) / here
        return f"{units.duration(rate * (work.total - work.done))} left"

    def _advance(self, done: int, total: int, what: str) -> None:
        work = self._work
        if work is None:
            return
        if work.what != what or done < work.done:
            work.first, work.figures = max(0, done - 1), ""
            work.what = what
        work.done, work.total = done, total

    def _leave(self, stage: str) -> None:
        if stage in self._pending:
            self._pending.remove(stage)


def _plain_signs(console: Console) -> bool:
    return console.options.ascii_only
