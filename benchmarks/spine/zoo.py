"""The control arm of `digits.py` that has no student: zoo networks, trained as the teacher is."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.common import interval, percent
from edgekd import RunResult
from edgekd.bench.jobs import BenchModel, measure
from edgekd.config.stages import BenchSettings, ModelSettings
from edgekd.data.digits import load
from edgekd.models.build import build
from edgekd.models.count import parameters
from edgekd.stages.export import export_folder

NAMES = ("mlp", "dscnn", "resnet8", "resnet20")
WIDTHS = (0.25, 0.5, 1.0, 2.0)
WITHIN = 0.002
"""As good as the teacher: mean validation accuracy at most this far below the teacher's."""


@dataclass(frozen=True)
class Found:
    """The smallest network that is as good as the teacher."""

    figures: dict[str, Any]
    files: list[Path]
    """Its float32 .tflite files, by seed."""


def candidates(teacher: ModelSettings) -> list[tuple[int, ModelSettings]]:
    """Networks with their parameters on the digits, smallest first, up to the teacher itself."""
    data = load()
    networks = [ModelSettings(name=name, width=width) for name, width in product(NAMES, WIDTHS)]
    networks += [] if teacher in networks else [teacher]
    sized = [(parameters(build(n, data.spec, data.classes)), n) for n in networks]
    return sorted(sized, key=lambda pair: pair[0])


def smallest_as_good(
    run: Callable[[list[str]], RunResult],
    *,
    teacher: ModelSettings,
    mean_validation: float,
    out: Path,
    quick: bool,
) -> Found:
    """Trains candidates from the smallest on until one is as good as the teacher.

    Args:
        run: the pipeline's teacher stage, of all seeds, with these settings over the file's.
        teacher: the teacher's network, which ends the search at the latest.
        mean_validation: its mean validation accuracy.
        out: folder for the .tflite files.
        quick: take the first candidate, as good or not.

    Raises:
        SystemExit: none is as good, which cannot be while the teacher is one of them.
    """
    tried = []
    for size, network in candidates(teacher):
        result = run(
            [
                f"teacher.model={{name: {network.name}, width: {network.width}}}",
                "teacher.require.accuracy=0",
            ]
        )
        trained = [m for m in result.summary.models if m.stage == "teacher"]
        reached = interval([m.validation.value for m in trained if m.validation is not None])
        tried.append({"name": network.label, "parameters": size, "validation": reached})
        print(f"zoo: {network.label}: {percent(reached['mean'])} validation", file=sys.stderr)
        if quick or reached["mean"] >= mean_validation - WITHIN:
            files = [exported(result.folder / m.path, out / f"seed{m.seed}") for m in trained]
            return Found({**tried[-1], "tried": tried}, files)
    raise SystemExit("No zoo network is as good as the teacher.")


def exported(weights: Path, out: Path) -> Path:
    """The float32 .tflite file of a saved network."""
    (path,) = export_folder(weights.parent, out, ("tflite",))
    return path


def latencies(run: RunResult, zoo: list[Path], *, quick: bool) -> dict[str, Any]:
    """p50 in LiteRT on one thread: teacher, student and zoo network of a seed one after another.

    Ratios are of figures that were measured within seconds of each other.
    """
    settings = BenchSettings(runtimes=("litert",), threads=(1,), quick=quick)
    p50: dict[str, list[float]] = {"teacher": [], "student": [], "zoo": []}
    seeds = run.summary.seeds
    for seed, file in zip(seeds, zoo, strict=True):
        models = [
            BenchModel(
                exported_file(run, "teacher", "float32", seed), "teacher", seed, "", "tflite"
            ),
            BenchModel(exported_file(run, "student", "int8", seed), "student", seed, "", "tflite"),
            BenchModel(file, "zoo", seed, "", "tflite"),
        ]
        for row in measure(models, settings, run_folder=run.folder):
            p50[row.stage].append(row.latency_us.p50)
    by_teacher = [s / t for s, t in zip(p50["student"], p50["teacher"], strict=True)]
    by_zoo = [s / z for s, z in zip(p50["student"], p50["zoo"], strict=True)]
    return {
        "p50_us": p50,
        "student_by_teacher": {"median": statistics.median(by_teacher), **interval(by_teacher)},
        "student_by_zoo": {"median": statistics.median(by_zoo), **interval(by_zoo)},
    }


def exported_file(run: RunResult, stage: str, precision: str, seed: int) -> Path:
    """A .tflite file of the run."""
    (model,) = [
        m
        for m in run.summary.models
        if (m.stage, m.format, m.precision, m.seed) == (stage, "tflite", precision, seed)
    ]
    return run.folder / model.path
