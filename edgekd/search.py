"""A search for a student: a pipeline for each candidate that fits, and what came of all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from edgekd.config.budget import LatencyBudget
from edgekd.config.networks import ModelSettings
from edgekd.config.pipeline import Pipeline
from edgekd.progress import Progress, Relay
from edgekd.propose.told import FILE
from edgekd.results import BenchFigures, CandidateFigures, Summary
from edgekd.store import read_json

SHARED = ("data", "search", "teacher", "softlabels", "check", "export-teacher")
"""Stages that are made once for all candidates."""


class Repeated(Relay):
    """Tells what all candidates share once, though each candidate's pipeline has it.

    Args:
        inner: what shows it.
    """

    def __init__(self, inner: Progress) -> None:
        super().__init__(inner)
        self._told: set[str] = set()

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        self.inner.run_started(name, [stage for stage in stages if stage not in self._told])

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        if stage in self._told:
            return
        self.inner.stage_finished(stage, cached=cached, seconds=seconds, note=note)
        name = stage.partition("@")[0]  # of "teacher-2@1", the second teacher's, "teacher-2"
        if name.startswith(SHARED):
            self._told.add(stage)


def each_candidate(
    pipeline: Pipeline,
    before: Summary,
    folder: Path,
    run_one: Callable[[Pipeline], Summary],
    progress: Progress,
) -> Summary:
    """Runs the pipeline of every candidate that fits; the summary of the best, with all of them.

    Args:
        pipeline: the one with the search.
        before: of what all share, with the stage `search`.
        folder: the run folder.
        run_one: runs a candidate's pipeline.
    """
    found = next(stage for stage in before.stages if stage.name == "search")
    rows: list[dict[str, Any]] = read_json(folder / found.folder / FILE)["candidates"]
    fitting = [row for row in rows if row["fits"]]
    summaries: dict[str, Summary] = {}
    for number, row in enumerate(fitting, start=1):
        progress.message(f"student {number} of {len(fitting)}: {row['candidate']}")
        summaries[row["candidate"]] = run_one(pipeline_of(pipeline, row))
    told = concluded([figures_of(row, pipeline, summaries.get(row["candidate"])) for row in rows])
    name = next((row.candidate for row in told if row.chosen), fitting[0]["candidate"])
    best = summaries[name]
    return best.model_copy(update={"search": told, "stages": [*best.stages, found]})


def pipeline_of(pipeline: Pipeline, row: dict[str, Any]) -> Pipeline:
    """The pipeline with a candidate as its student."""
    model = ModelSettings.model_validate({"name": row["family"], "width": row["size"]})
    student = pipeline.student.model_copy(
        update={"model": model, "search": None, "objective": None}
    )
    return pipeline.model_copy(update={"student": student})


def figures_of(
    row: dict[str, Any], pipeline: Pipeline, summary: Summary | None
) -> CandidateFigures:
    """A candidate's figures.

    Args:
        row: of `candidates`.
        pipeline: the one with the search.
        summary: of its own run; None if it was not trained.
    """
    known = ("candidate", "fits", "reasons", "bytes", "p50_us", "parameters", "macs")
    found = CandidateFigures.model_validate({name: row[name] for name in known if name in row})
    if summary is None:
        return found
    files = [
        m for m in summary.models
        if (m.stage, m.format, m.precision) == ("student", "tflite", "int8")
    ]  # fmt: skip
    last = [m for m in summary.models if m.stage == "quantize" and m.validation is not None]
    scores = [m.validation.value for m in last if m.validation is not None]
    found.validation = sum(scores) / len(scores) if scores else None
    found.folders = [stage.folder for stage in summary.stages]
    first = next((m for m in files if m.seed == summary.seed), None)
    if first is None:
        return found
    found.accuracy, found.trained_bytes = first.accuracy, first.bytes
    there = [b for b in summary.bench if b.model == first.path and _looked_at(b, pipeline)]
    found.trained_p50_us = there[0].p50_us if there else None
    return found


def _looked_at(row: BenchFigures, pipeline: Pipeline) -> bool:
    """Whether a measurement is where the objective looks first."""
    objective = pipeline.student.objective
    limit = objective.latency[0] if objective and objective.latency else LatencyBudget()
    return row.device == limit.device and (limit.threads in ("all", row.threads))


def concluded(rows: Sequence[CandidateFigures]) -> list[CandidateFigures]:
    """The same with the front and the choice: best on validation, at equal scores the smallest."""
    trained = [row for row in rows if row.accuracy is not None]
    judged = [row for row in rows if row.validation is not None]
    best = max(judged, key=lambda row: (row.validation, -(row.bytes or 0)), default=None)
    for row in rows:
        row.front = row in trained and not any(_beats(other, row) for other in trained)
        row.chosen = row is best
    return list(rows)


def _beats(one: CandidateFigures, other: CandidateFigures) -> bool:
    """Whether `one` is nowhere worse than `other`, and somewhere better."""
    a, b = _costs(one), _costs(other)
    return all(x <= y for x, y in zip(a, b, strict=True)) and a != b


def _costs(row: CandidateFigures) -> tuple[float, float, float]:
    """What is to be small: the error, the time, the bytes."""
    assert row.accuracy is not None
    return (
        -row.accuracy.value,
        row.trained_p50_us if row.trained_p50_us is not None else 0.0,
        float(row.trained_bytes or 0),
    )
