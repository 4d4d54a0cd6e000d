"""The table of metrics: every metric of the task, of teacher and student, in float and int8."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.report.figures import FORMATS, TEACHER, base, deployed_format, first_seed
from edgekd.results import MetricFigures, ModelFigures, Summary
from edgekd.tasks.bootstrap import intervals, ratio
from edgekd.tasks.names import title

MEAN = "mean of the targets"


@dataclass(frozen=True)
class MetricTable:
    """Columns are models, rows metrics."""

    columns: list[tuple[str, str]]
    """Whose, such as "Student", and in which form, such as "TFLite, int8"."""
    rows: list[tuple[str, str, list[MetricFigures | None]]]
    """The metric's title, the target's name, and its figure of every column."""


def metric_table(summary: Summary) -> MetricTable | None:
    """The metrics of the first seed's teacher and final student; None where there are none."""
    models = [model for model in _models(summary) if model.metrics]
    if not models:
        return None
    keys = dict.fromkeys((row.name, row.target) for model in models for row in model.metrics)
    names = list(dict.fromkeys(name for name, _ in keys))
    ordered = sorted(keys, key=lambda key: names.index(key[0]))
    by_model = [{(row.name, row.target): row for row in model.metrics} for model in models]
    several = {name for name, target in keys if target}
    return MetricTable(
        columns=[
            (
                "Teacher" if base(model.stage) == TEACHER else "Student",
                f"{FORMATS.get(model.format, model.format)}, {model.precision}",
            )
            for model in models
        ],
        rows=[
            (
                _capital(title(name)),
                target or (MEAN if name in several else ""),
                [found.get((name, target)) for found in by_model],
            )
            for name, target in ordered
        ],
    )


def _models(summary: Summary) -> list[ModelFigures]:
    """Teacher, student in float, in int8, in other precisions: exported files, else PyTorch's."""
    wanted = deployed_format(summary)
    every = first_seed(summary)
    last = [model for model in every if base(model.stage) != TEACHER]
    exported = [model for model in last if model.format == wanted]
    chosen = [m for m in every if base(m.stage) == TEACHER and m.format == wanted]
    chosen = chosen or [m for m in every if base(m.stage) == TEACHER][:1]
    students = {model.precision: model for model in exported or last}
    order = dict.fromkeys(("float32", "int8", *students))
    return chosen + [students[p] for p in order if p in students]


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def intervals_of(logits: NDArray[Any], y: NDArray[Any]) -> tuple[float, float]:
    """The bootstrap's 95 % interval of one label's F1, from logits (N,) and truth (N,)."""
    given, true = logits > 0, np.asarray(y) > 0
    columns = np.stack([given & true, given, true], 1).astype(np.float64)

    def replicate(weights: NDArray[Any]) -> dict[tuple[str, str], NDArray[Any]]:
        hits, answers, of = (weights @ columns).T
        return {("f1", ""): ratio(2 * hits, answers + of)}

    return intervals(replicate, len(true), resamples=300)["f1", ""]
