"""A sweep in the terminal: a line a trial, and the front as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from edgekd.report import units
from edgekd.report.settings import label
from edgekd.report.terminal import text_table
from edgekd.sweep_results import PointFigures, SweepFigures, TrialFigures
from edgekd.tasks import names

if TYPE_CHECKING:
    from rich.console import RenderableType

WORDS = {
    "finished": "",
    "stopped": "ended early",
    "out": "not trained",
    "diverged": "diverged",
    "failed": "failed",
}
TOO_DEAR = "over a limit once pruned"


def trial_line(trial: TrialFigures, done: int, total: int, metrics: Mapping[str, str]) -> str:
    """What came of a trial."""
    figures = [units.quantity(trial.values[o], m) for o, m in metrics.items() if o in trial.values]
    score = "" if trial.score is None else units.score(trial.score, next(iter(metrics.values())))
    told = [part for part in (score, *figures) if part]
    word = ending(trial)
    return f"{done}/{total}  {label(trial.setting)}  {', '.join(told)}{'  ' if word else ''}{word}"


def _pruned_over(trial: TrialFigures) -> bool:
    """Whether a limit was missed by a trained network: what is pruned is measured after it."""
    return trial.state == "out" and bool(trial.curve)


def ending(trial: TrialFigures) -> str:
    """How a trial ended and why, if not by its training's end."""
    word = TOO_DEAR if _pruned_over(trial) else WORDS[trial.state]
    if trial.state == "stopped":
        word += f" after {len(trial.curve)} of {trial.epochs} epochs"
    if trial.reason:
        word += f": {trial.reason.splitlines()[0]}"
    return word


def front_table(figures: SweepFigures) -> RenderableType:
    """The front, from cheap to dear. A setting is one column, which goes on in the next line:
    fields in columns of their own would cut each other off.
    """
    metric = figures.objectives[0].metric
    others = figures.objectives[1:]
    head = ("point", names.title(metric), *(objective.name for objective in others), "setting")
    rows: list[tuple[str, ...]] = [head]
    for place, point in enumerate(figures.front, start=1):
        fell = "" if point.front else " (not with all seeds)"
        costs = (units.quantity(point.values[o.name], o.metric) for o in others)
        row = (str(place), score_of(point, metric), *costs, f"{label(point.setting)}{fell}")
        rows.append(row)
    return text_table(rows, prose=1)


def score_of(point: PointFigures, metric: str) -> str:
    """A point's score, with its interval where it has one."""
    text = units.score(point.score.value, metric)
    if len(point.scores) < 2:
        return text
    low, high = (min(1.0, max(0.0, x)) for x in (point.score.low, point.score.high))
    if not names.is_share(metric):
        low, high = point.score.low, point.score.high
    return f"{text} ({units.score(low, metric)} to {units.score(high, metric)})"


def conclusion(figures: SweepFigures) -> list[str]:
    """What the sweep did, in sentences."""
    states = [TOO_DEAR if _pruned_over(t) else t.state for t in figures.trials]
    parts = [f"{len(states)} trials: {states.count('finished')} trained to their end"]
    for state, words in (
        ("stopped", "ended early"),
        ("out", "not trained, by a limit"),
        (TOO_DEAR, TOO_DEAR),
        ("diverged", "diverged"),
        ("failed", "failed"),
    ):
        if states.count(state):
            parts.append(f"{states.count(state)} {words}")
    lines = [", ".join(parts)]
    if figures.epochs_whole:
        share = figures.epochs_trained / figures.epochs_whole
        lines.append(
            f"{figures.epochs_trained:,} epochs trained of {figures.epochs_whole:,} "
            f"({units.percent(share, 0)}); the teacher and its soft labels were made once"
        )
    if figures.hypervolume is not None:
        lines.append(f"hypervolume {figures.hypervolume:.3f} of the box of all figures")
    return lines
