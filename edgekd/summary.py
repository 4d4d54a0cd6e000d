"""`summary.json`: the figures of all finished stages, and what follows from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

from edgekd.config.pipeline import Pipeline
from edgekd.errors import BudgetMissed
from edgekd.keys import all_versions
from edgekd.results import (
    BenchFigures,
    BudgetFigures,
    GainFigures,
    LayerFigures,
    Machine,
    ModelFigures,
    ParityFigures,
    QualityFigures,
    RetentionFigures,
    SeedFigures,
    StageFigures,
    Summary,
    TeacherFigures,
    TuningFigures,
)
from edgekd.statistics import mean_interval
from edgekd.tasks.names import title
from edgekd.verdicts import limited

ALSO_OVER_SEEDS = ("mae", "roc_auc", "macro_roc_auc")
"""Metrics beside the headline score that are averaged over seeds."""


def gather(
    pipeline: Pipeline,
    machine: Machine,
    stages: Sequence[StageFigures],
    manifests: Mapping[str, Mapping[str, Any]],
) -> Summary:
    """The summary of the finished `stages`.

    Args:
        manifests: of every finished stage, by its name.
    """
    models: list[ModelFigures] = []
    parity: list[ParityFigures] = []
    bench: list[BenchFigures] = []
    quality: list[QualityFigures] = []
    retention: list[RetentionFigures] = []
    gain: list[GainFigures] = []
    tuning: list[TuningFigures] = []
    layers: list[LayerFigures] = []
    teachers: dict[tuple[str, int], TeacherFigures] = {}
    for stage in stages:
        manifest = manifests[stage.name]
        for raw in manifest["models"]:
            model = ModelFigures.model_validate(raw)
            model.path = f"{stage.folder}/{model.path}"
            models.append(_called(model, stage, pipeline.seed))
        parity += [ParityFigures.model_validate(raw) for raw in manifest["parity"]]
        bench += [BenchFigures.model_validate(raw) for raw in manifest["bench"]]
        quality += [QualityFigures.model_validate(raw) for raw in manifest.get("quality", ())]
        retention += [RetentionFigures.model_validate(raw) for raw in manifest.get("retention", ())]
        tuning += [TuningFigures.model_validate(raw) for raw in manifest.get("tuning", ())]
        layers += [LayerFigures.model_validate(raw) for raw in manifest.get("layers", ())]
        gain += [GainFigures.model_validate(raw) for raw in manifest.get("gain", ())]
        for raw in manifest.get("teachers", ()):
            found = _called(TeacherFigures.model_validate(raw), stage, pipeline.seed)
            # a later stage knows more
            teachers[found.stage, found.seed] = found
    _fill_accuracy(models, bench)
    return Summary(
        pipeline=pipeline.name,
        seed=pipeline.seed,
        seeds=pipeline.run_seeds,
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=pipeline.model_dump(mode="json"),
        versions=all_versions(),
        machine=machine,
        stages=list(stages),
        models=models,
        parity=parity,
        bench=bench,
        budget=budget(pipeline, models, bench),
        quality=quality,
        teachers=list(teachers.values()),
        retention=retention,
        gain=gain + gain_over_seeds(gain),
        tuning=tuning,
        layers=layers,
        over_seeds=over_seeds(models, bench, quality) if len(pipeline.run_seeds) > 1 else [],
    )


F = TypeVar("F", ModelFigures, TeacherFigures)


def _called(figures: F, stage: StageFigures, first_seed: int) -> F:
    """A teacher's figures by what it is called in this run: its artefact is the same whether it
    teaches alone or as one of several, and two that are written the same differ in their seed.
    """
    name, _, seed = stage.name.partition("@")
    if not name.startswith("teacher") or figures.stage == "ensemble":
        return figures
    return figures.model_copy(update={"stage": name, "seed": int(seed) if seed else first_seed})


def _fill_accuracy(models: list[ModelFigures], bench: list[BenchFigures]) -> None:
    """An exported file's scores are those that were measured in its runtime."""
    measured = {row.model: row for row in bench if row.accuracy is not None}
    for model in models:
        row = measured.get(model.path)
        if model.accuracy is None and row is not None:
            model.accuracy, model.metrics = row.accuracy, row.metrics


def deployed(pipeline: Pipeline, models: Sequence[ModelFigures]) -> list[ModelFigures]:
    """The student's final file, of each seed."""
    wanted = ("student", pipeline.deployed_format, pipeline.deployed_precision)
    return [m for m in models if (m.stage, m.format, m.precision) == wanted]


def budget(
    pipeline: Pipeline, models: Sequence[ModelFigures], bench: Sequence[BenchFigures]
) -> list[BudgetFigures]:
    """The verdict on every limit that has been measured; over several seeds, on the mean.

    A limit of time on a device that could not be reached, or that is emulated, is unverified.
    """
    form, precision = pipeline.deployed_format, pipeline.deployed_precision
    paths = {m.path for m in deployed(pipeline, models)}
    benched = any(row.model in paths for row in bench)
    return [
        row.figures()
        for row in limited(pipeline.budget, form, precision, models, bench)
        if row.values or (benched and row.unit == "us")
    ]


def missed_budget(summary: Summary, folder: Path) -> BudgetMissed:
    """The error that tells which limits of a finished run were missed, and by how much."""
    lines = [
        f"{row.name}: {'unverified' if row.value is None else show(row.value, row.unit)}, "
        f"limit {show(row.limit, row.unit)}"
        for row in summary.budget
        if not row.ok
    ]
    return BudgetMissed(
        "The run is done, and a budget is missed: " + "; ".join(lines) + ".",
        where=str(folder),
        fix="see the report for what costs most; a smaller student.model.width or prune.keep saves "
        "size and time, more distill.train.epochs gain accuracy",
    )


def show(value: float, unit: str) -> str:
    """A figure in the unit that people write it in."""
    if unit == "bytes":
        return f"{value / 1000:.1f} kB"
    if unit in ("score", "raw"):
        return f"{value:.4g}"
    return f"{value:.2%}" if unit == "fraction" else f"{value / 1000:.3f} ms"


def gain_over_seeds(gain: Sequence[GainFigures]) -> list[GainFigures]:
    """The mean gain of each stage over the seeds, paired by seed; none of a single seed."""
    groups: dict[tuple[str, str], list[GainFigures]] = {}
    for row in gain:
        groups.setdefault((row.stage, row.precision), []).append(row)
    found = []
    for rows in groups.values():
        if len(rows) < 2:
            continue
        mean, low, high = mean_interval([row.gain for row in rows])
        found.append(
            rows[0].model_copy(
                update={
                    "seed": None,
                    "student": sum(row.student for row in rows) / len(rows),
                    "control": sum(row.control for row in rows) / len(rows),
                    "gain": mean,
                    "low": low,
                    "high": high,
                    "n": len(rows),
                    "over": "seeds",
                }
            )
        )
    return found


def over_seeds(
    models: Sequence[ModelFigures],
    bench: Sequence[BenchFigures],
    quality: Sequence[QualityFigures] = (),
) -> list[SeedFigures]:
    """Means with intervals of everything that was measured once a seed."""
    groups: dict[str, list[float]] = {}
    for m in models:
        name = f"{m.stage}, {m.format}, {m.precision}"
        if m.accuracy is not None:
            score = title(m.accuracy.metric)
            groups.setdefault(f"test {score} of {name}", []).append(m.accuracy.value)
        for row in m.metrics:
            if row.name in ALSO_OVER_SEEDS and not row.target:
                groups.setdefault(f"test {title(row.name)} of {name}", []).append(row.value)
        groups.setdefault(f"bytes of {name}", []).append(m.bytes)
    for row in bench:
        name = f"p50 us of {row.stage}, {row.precision}, {row.runtime} on {row.device}"
        if row.latency_us is not None:
            groups.setdefault(f"{name}, {row.threads} threads", []).append(row.latency_us.p50)
    for file in quality:
        name = f"{file.stage}, {file.precision}, {file.runtime}"
        if file.shifted is not None:
            groups.setdefault(f"{file.clean.metric} under shift of {name}", []).append(
                file.shifted.value
            )
        if file.calibration is not None:
            groups.setdefault(f"calibration error of {name}", []).append(file.calibration.ece.value)
    means = []
    for name, values in groups.items():
        if len(values) > 1:
            mean, low, high = mean_interval(values)
            means.append(SeedFigures(name=name, mean=mean, low=low, high=high, n=len(values)))
    return means
