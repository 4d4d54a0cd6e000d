"""What a run shows in the terminal while it works, and its result in a table at the end."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from edgekd.progress import Epoch, Progress
from edgekd.report import figures, front, gains, units
from edgekd.results import ModelFigures, Summary
from edgekd.tasks import names

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

EVERY_SECONDS = 5.0
"""`PlainProgress` prints at most one line of epochs or steps in this time."""


class PlainProgress(Progress):
    """Plain lines, for logs and for terminals that can do no more.

    Args:
        file: where they go; standard output by default.
        clock: seconds, only for tests.
    """

    def __init__(
        self, file: IO[str] | None = None, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._file = sys.stdout if file is None else file
        self._clock = clock
        self._last = clock()

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        self._print(f"{name}: {', '.join(stages)}")

    def stage_started(self, stage: str) -> None:
        self._last = self._clock()
        self._print(f"{stage} ...")

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        how = "found finished" if cached else f"done in {units.duration(seconds)}"
        self._print(f"{stage} {how}{': ' if note else ''}{note}")

    def epoch(self, epoch: Epoch) -> None:
        if self._due():
            loss = units.significant(epoch.loss)
            score = f"{names.title(epoch.metric)} {units.score(epoch.score, epoch.metric)}"
            self._print(f"  epoch {epoch.number}/{epoch.total}  loss {loss}  {score}")

    def step(self, done: int, total: int, what: str) -> None:
        if self._due():
            self._print(f"  {done}/{total} {what}")

    def message(self, text: str) -> None:
        self._print(text)

    def _due(self) -> bool:
        now = self._clock()
        if now - self._last < EVERY_SECONDS:
            return False
        self._last = now
        return True

    def _print(self, line: str) -> None:
        print(line, file=self._file, flush=True)


def choose(console: Console) -> Progress:
    """The live view on a terminal that can redraw, else plain lines."""
    if console.is_terminal and not console.is_dumb_terminal:
        from edgekd.report.live import LiveProgress

        return LiveProgress(console)
    return PlainProgress(console.file)


def summary_table(summary: Summary, report: Path | None = None) -> RenderableType:
    """The run's result for rich: teacher against final model, the budget, where the page lies."""
    from rich.console import Group
    from rich.text import Text

    both = figures.compare(summary)
    parts: list[RenderableType] = []
    if both is not None:
        parts.append(_comparison(both))
    parts.append(Text(""))
    parts += [Text(gains.sentence(row)) for row in gains.told(summary)]
    parts += _tuned(summary)
    parts += _advice(summary)
    parts += _students(summary)
    parts += [_verdict(budget) for budget in summary.budget]
    if both is not None:
        parts.append(Text.assemble(("model   ", "dim"), both.final.path, overflow="fold"))
    if report is not None:
        parts.append(Text.assemble(("report  ", "dim"), str(report), overflow="fold"))
    return Group(*parts)


def _tuned(summary: Summary) -> list[RenderableType]:
    """What a search chose, as it can be pasted."""
    from rich.text import Text

    chosen = next((row for row in summary.tuning if row.chosen), None)
    if chosen is None:
        return []
    return [Text.assemble(("chosen  ", "dim"), f"--set '{chosen.setting}'", overflow="fold")]


def _students(summary: Summary) -> list[RenderableType]:
    """What a search looked at."""
    if not summary.search:
        return []
    rows = [front.candidate_row(row) for row in front.in_order(summary)]
    head = ("student", figures.metric_of(summary), "latency p50", "file", "")
    head = (head[0], names.title(head[1]), *head[2:])
    return [text_table([head, *((r.name, r.score, r.latency, r.size, r.verdict) for r in rows)])]


def _advice(summary: Summary) -> list[RenderableType]:
    """What limits the student most, and what to try next."""
    from rich.text import Text

    if not summary.advice:
        return []
    first, others = summary.advice[0], summary.advice[1:]
    text = first.finding
    if others:
        text += f" ({len(others)} more in the report)"
    setting = f" --set '{first.setting}'" if first.setting else ""
    return [
        Text.assemble(("limit   ", "dim"), text),
        Text.assemble(("try     ", "dim"), first.advice, (setting, "bold")),
    ]


def _comparison(both: figures.Comparison) -> RenderableType:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False)
    table.add_column("")
    if both.teacher is not None:
        table.add_column("teacher", justify="right")
    table.add_column(figures.title(both.final.stage).lower(), justify="right", style="bold")
    if both.teacher is not None:
        table.add_column("", style="green")
    for name, before, after, change in _rows(both):
        cells = [name, before, after, change] if both.teacher is not None else [name, after]
        table.add_row(*map(Text, cells))
    return table


def _rows(both: figures.Comparison) -> list[tuple[str, str, str, str]]:
    """Name, teacher's figure, final model's, and how they stand to each other."""
    final, teacher = both.final, both.teacher
    old, new = both.teacher_accuracy, both.final_accuracy
    rows = []
    if new is not None:
        metric = new.metric
        interval = f"{units.score(new.value, metric)} ({units.score_range(new, unit=False)})"
        change = units.score_change(new.value - old.value, metric) if old else ""
        before = units.score(old.value, metric) if old else units.NONE
        rows.append((f"{new.split} {names.title(metric)}", before, interval, change))
    rows.append(
        (
            "parameters",
            units.count(teacher and teacher.parameters),
            units.count(final.parameters),
            units.ratio(final.parameters, teacher.parameters, "fewer", "more") if teacher else "",
        )
    )
    rows.append(_file_row(final, teacher))
    rows += _quality_rows(both)
    if both.final_bench is not None:
        there = both.teacher_bench.p50_us if both.teacher_bench else None
        here = both.final_bench.p50_us
        name = f"latency p50 on {both.final_bench.device}"
        change = units.ratio(here, there, "faster", "slower") if there and here else ""
        rows.append((name, units.microseconds(there), units.microseconds(here), change))
    return rows


def _file_row(final: ModelFigures, teacher: ModelFigures | None) -> tuple[str, str, str, str]:
    """Sizes of the files, with their formats where a teacher was given in another."""
    form = figures.FORMATS.get(final.format, final.format)
    if teacher is None:
        return f"file ({form})", "", units.size(final.bytes), ""
    change = units.ratio(final.bytes, teacher.bytes, "smaller", "larger")
    before, after = units.size(teacher.bytes), units.size(final.bytes)
    if teacher.format == final.format:
        return f"file ({form})", before, after, change
    theirs = figures.FORMATS.get(teacher.format, teacher.format)
    return "file", f"{before} {theirs}", f"{after} {form}", change


def _quality_rows(both: figures.Comparison) -> list[tuple[str, str, str, str]]:
    """What the final file and the teacher's are worth under shift, and their calibration."""
    old, new = both.teacher_quality, both.final_quality
    rows = []
    if new is not None and new.shifted is not None:
        metric = new.clean.metric
        before = names.shown(old.shifted.value, metric) if old and old.shifted else units.NONE
        interval = f"({100 * new.shifted.low:.1f} to {100 * new.shifted.high:.1f})"
        after = names.shown(new.shifted.value, metric)
        after = f"{after} {interval}" if names.is_share(metric) else after
        change = f"{units.percent(new.retention)} of it" if new.retention is not None else ""
        rows.append((f"{names.title(metric)} under shift", before, after, change))
    if new is not None and new.calibration is not None:
        before = old.calibration if old else None
        rows.append(
            (
                "calibration error",
                units.percent(before.ece.value if before else None),
                units.percent(new.calibration.ece.value),
                "",
            )
        )
    return rows


def _verdict(budget: figures.BudgetFigures) -> RenderableType:
    from rich.text import Text

    style = "green" if budget.ok else "bold red"
    word = "kept  " if budget.ok else budget.verdict.upper()
    reached = units.quantity(budget.value, budget.unit)
    limit = f"{figures.relation(budget)} {units.quantity(budget.limit, budget.unit)}"
    return Text.assemble((word, style), f"  {budget.name}: {reached} ({limit})")


NAME_WIDTH = 16
"""Characters of a name that stay together where a terminal is too narrow for the table."""


def text_table(rows: Sequence[tuple[str, ...]], prose: int = 0) -> RenderableType:
    """Rows as a table whose first row is its head; figures stand right, the first column left.
    Names such as `[conv]:0` are shown as they are, and go on in the next line rather than being
    cut off.

    Args:
        prose: of the last columns, how many hold sentences.
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    head, *body = rows
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    longest = max((len(row[0]) for row in rows), default=0)
    table.add_column(head[0], overflow="fold", min_width=min(longest, NAME_WIDTH))
    for index, name in enumerate(head[1:], 1):
        sentences = index >= len(head) - prose
        table.add_column(name, justify="left" if sentences else "right", no_wrap=not sentences)
    for row in body:
        table.add_row(*map(Text, row))
    return table
