"""The page of a sweep: the front, what mattered, how the trainings went, and every trial."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.report import units
from edgekd.report.environment import environment, style_sheet
from edgekd.report.settings import short_names, shown
from edgekd.report.sweep_plots import curves, importances, trade_off
from edgekd.report.sweep_terminal import conclusion, ending, score_of
from edgekd.store import write_atomic
from edgekd.sweep_results import SweepFigures, TrialFigures
from edgekd.tasks import names

TEMPLATE = "sweep.html.j2"


@dataclass(frozen=True)
class Row:
    """A point or a trial, in words."""

    number: str
    setting: list[str]
    score: str
    values: list[str]
    verdict: str
    front: bool
    interval: str = ""
    """Of a point, over its seeds."""
    test: str = ""
    """Of a point: the score on the test set."""
    file: str = ""
    """Of a point: its pipeline file."""


def write_page(figures: SweepFigures, path: Path) -> None:
    """Writes the page, atomically. The same figures give the same bytes."""
    write_atomic(path, render(figures))


def render(figures: SweepFigures) -> str:
    """The page as HTML text."""
    return environment().get_template(TEMPLATE).render(style=style_sheet(), **context(figures))


def context(figures: SweepFigures) -> dict[str, Any]:
    """Everything that the template shows."""
    metric = figures.objectives[0].metric
    fields = list(figures.trials[0].setting)
    kept = [point for point in figures.front if point.front]
    return {
        "figures": figures,
        "headline": headline(figures),
        "sentences": conclusion(figures),
        "fields": [short_names(fields)[field] for field in fields],
        "paths": fields,
        "score_title": names.title(metric)[:1].upper() + names.title(metric)[1:],
        "others": [_title(objective.name) for objective in figures.objectives[1:]],
        "cards": _cards(figures),
        "points": [_point(figures, k) for k in range(len(figures.front))],
        "fell": len(figures.front) - len(kept),
        "seeds": len(figures.front[0].seeds),
        "plots": [trade_off(figures, o) for o in figures.objectives[1:]],
        "importance": importances(figures),
        "curves": curves(figures),
        "rows": [_trial(figures, trial) for trial in figures.trials],
        "limits": [
            f"{_title(o.name)} at most {units.quantity(o.limit, o.metric)}"
            for o in figures.objectives
            if o.limit is not None
        ],
    }


def headline(figures: SweepFigures) -> str:
    """The sweep in one line."""
    points = [point for point in figures.front if point.front]
    best = max(points, key=lambda point: point.score.value)
    metric = figures.objectives[0].metric
    costs = [units.quantity(best.values[o.name], o.metric) for o in figures.objectives[1:]]
    count = f"{len(points)} points" if len(points) != 1 else "one point"
    with_costs = f" with {' and '.join(costs)}" if costs else ""
    return f"{count} on the front; at best {units.score(best.score.value, metric)}{with_costs}"


def _title(objective: str) -> str:
    if objective == "size":
        return "File"
    return f"L{objective[1:]}" if objective != "latency" else "Latency"


def _cards(figures: SweepFigures) -> list[tuple[str, str, str]]:
    """Name, figure and small print."""
    states = [trial.state for trial in figures.trials]
    cards = [("Trials", str(len(states)), f"{states.count('finished')} trained to their end")]
    if figures.epochs_whole:
        share = figures.epochs_trained / figures.epochs_whole
        cards.append(
            (
                "Epochs trained",
                units.percent(share, 0),
                f"{figures.epochs_trained:,} of {figures.epochs_whole:,} of the trained trials",
            )
        )
    if figures.hypervolume is not None:
        text = f"{figures.hypervolume:.3f}"
        cards.append(("Hypervolume", text, "of the box from best to worst figures"))
    cards.append(("Time of the trials", units.duration(figures.seconds), "summed"))
    return cards


def _point(figures: SweepFigures, place: int) -> Row:
    point = figures.front[place]
    metric = figures.objectives[0].metric
    score, _, rest = score_of(point, metric).partition(" (")
    test = units.score(sum(point.test) / len(point.test), metric) if point.test else units.NONE
    return Row(
        number=str(place + 1),
        setting=[shown(value) for value in point.setting.values()],
        score=score,
        values=_costs(figures, point.values),
        verdict="" if point.front else "not on the front with all seeds",
        front=point.front,
        interval=rest.rstrip(")"),
        test=test,
        file=point.pipeline,
    )


def _trial(figures: SweepFigures, trial: TrialFigures) -> Row:
    metric = figures.objectives[0].metric
    return Row(
        number=str(trial.number),
        setting=[shown(value) for value in trial.setting.values()],
        score=units.score(trial.score, metric),
        values=_costs(figures, trial.values),
        verdict="on the front" if trial.front else ending(trial) or "trained",
        front=trial.front,
    )


def _costs(figures: SweepFigures, values: dict[str, float]) -> list[str]:
    return [units.quantity(values.get(o.name), o.metric) for o in figures.objectives[1:]]
