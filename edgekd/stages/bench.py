"""Bench: the exported files, measured where they are to run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.config.base import Settings
from edgekd.config.stages import BenchSettings
from edgekd.results import ModelFigures
from edgekd.stages.base import Job, Made


class BenchStage(Settings):
    """What the stage may know."""

    bench: BenchSettings
    """What is measured, where, for how long."""
    devices: dict[str, Any]
    """The profiles of `bench.devices`."""
    machine: dict[str, Any]
    """This machine: figures of another one are not taken over."""
    files: dict[str, tuple[ModelFigures, ...]]
    """The files by the input's role; their paths are relative to that input's folder."""


def run(job: Job[BenchStage]) -> Made:
    """Measures time, memory and test accuracy.

    Raises:
        StageError: a device cannot be reached or a file does not run there.
    """
    from edgekd.bench.jobs import BenchModel, measure
    from edgekd.data.dataset import load

    data = load(job.inputs["data"])
    models = [
        BenchModel(
            path=job.inputs[role] / figures.path,
            stage=figures.stage,
            seed=figures.seed,
            precision=figures.precision,
            format=figures.format,
        )
        for role, files in job.settings.files.items()
        for figures in files
    ]
    rows = measure(
        models,
        job.settings.bench,
        test=(data.spec.normalise(data.test.x), data.test.y),
        run_folder=_run_folder(job),
        progress=job.progress,
    )
    return Made(note=f"{len(rows)} measurements", bench=rows)


def _run_folder(job: Job[BenchStage]) -> Path:
    """Artefacts of one run lie side by side."""
    return job.inputs["data"].parent
