"""Bench: the exported files, measured where they are to run."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.base import Settings
from edgekd.config.stages import BenchSettings
from edgekd.stages.base import Job, Made
from edgekd.store import MANIFEST, read_json

if TYPE_CHECKING:
    from edgekd.bench.jobs import BenchModel


class BenchStage(Settings):
    """What the stage may know."""

    bench: BenchSettings
    """What is measured, where, for how long."""
    devices: dict[str, Any]
    """The profiles of `bench.devices`."""
    machine: dict[str, Any]
    """This machine: figures of another one are not taken over."""


def run(job: Job[BenchStage]) -> Made:
    """Measures time, memory and test accuracy.

    Raises:
        StageError: no device can be reached, or a file runs on none. Where one device of several
            fails, the others' figures count, and a warning tells of it.
    """
    from edgekd.bench.jobs import BenchModel, measure
    from edgekd.data.dataset import load

    data = load(job.inputs["data"])
    models = [
        BenchModel(
            path=folder / model["path"],
            stage=model["stage"],
            seed=model["seed"],
            precision=model["precision"],
            format=model["format"],
        )
        for role, folder in job.inputs.items()
        if role != "data"
        for model in read_json(folder / MANIFEST)["models"]
    ]
    warnings: list[str] = []
    rows = measure(
        models,
        job.settings.bench,
        test=(data.spec.normalise(data.test.x), data.test.y),
        spec=data.model_spec(""),
        run_folder=_run_folder(job),
        base=job.base,
        profiled=_profiled(models),
        progress=job.progress,
        told=warnings.append,
    )
    return Made(note=f"{len(rows)} measurements", bench=rows, warnings=warnings)


def _profiled(models: Sequence[BenchModel]) -> list[Path]:
    """The files whose operators the report draws: the first student's, its int8 ones if any."""
    students = [model for model in models if model.stage == "student"]
    first = [model for model in students if model.seed == students[0].seed]
    int8 = [model for model in first if model.precision == "int8"]
    return [model.path for model in int8 or first]


def _run_folder(job: Job[BenchStage]) -> Path:
    """Artefacts of one run lie side by side."""
    return job.inputs["data"].parent
