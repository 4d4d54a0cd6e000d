"""What every stage gets and gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from edgekd.config.base import Settings
from edgekd.progress import Progress
from edgekd.results import (
    BenchFigures,
    GainFigures,
    LayerFigures,
    ModelFigures,
    ParityFigures,
    QualityFigures,
    RetentionFigures,
    TeacherFigures,
    TuningFigures,
)

S = TypeVar("S", bound=Settings)


@dataclass(frozen=True)
class Job(Generic[S]):
    """One piece of work for a stage."""

    settings: S
    """What the stage may know of the pipeline file; its key is made of this."""
    inputs: Mapping[str, Path]
    """Folders of finished artefacts by role, such as "data" or "student"."""
    out: Path
    """Where the artefact is written. It outlives a killed process; checkpoints lie here."""
    node: str
    """The node's name, such as "distill" or "distill@1"."""
    seed: int
    """Where the stage's randomness starts."""
    base: Path
    """The folder that relative paths of the pipeline file start from."""
    progress: Progress


@dataclass(frozen=True)
class Made:
    """What a stage found out; its files lie in `Job.out`."""

    note: str = ""
    """The result in a few words, for the terminal."""
    models: list[ModelFigures] = field(default_factory=list)
    """Paths are relative to `Job.out`."""
    parity: list[ParityFigures] = field(default_factory=list)
    bench: list[BenchFigures] = field(default_factory=list)
    quality: list[QualityFigures] = field(default_factory=list)
    teachers: list[TeacherFigures] = field(default_factory=list)
    retention: list[RetentionFigures] = field(default_factory=list)
    gain: list[GainFigures] = field(default_factory=list)
    tuning: list[TuningFigures] = field(default_factory=list)
    layers: list[LayerFigures] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


CHECKPOINT = "checkpoint"
"""Folder of the training's state inside `Job.out`; removed when the stage is whole."""
