"""From a file's bytes to an answer: which files, the processes that measure, and their figures."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.bench.gather import latency
from edgekd.bench.result import STEPS, BenchRow, RawFigures
from edgekd.bench.visit import PATIENCE, measuring_length
from edgekd.config.data import AudioFolderData, ImageFolderData
from edgekd.config.stages import BenchSettings
from edgekd.data.archive import Files
from edgekd.data.command_source import named_settings
from edgekd.data.sources import load_source
from edgekd.devices.answers import ask
from edgekd.errors import ConfigError, DataError
from edgekd.spec import DeployedSpec, InputSpec

PROCESS = (sys.executable, "-m", "edgekd.bench.raw_process")
FILES = 32
"""Different files that take turns, as the agent's inputs do."""


@dataclass(frozen=True)
class RawFiles:
    """Pictures or recordings of the test part, spread over it."""

    kind: str
    """pictures or recordings."""
    paths: tuple[Path, ...]
    labels: tuple[str, ...]
    """What each of them is."""
    answers: tuple[str, ...]
    """The model's labels."""


def raw_files(source: str, deployed: DeployedSpec | None, model: Path, folder: Path) -> RawFiles:
    """Files of the test part of a source, copied to `folder`.

    Raises:
        ConfigError: the file does not tell its preprocessing.
        DataError: the source has no files, or others than the model takes.
    """
    if deployed is None:
        raise ConfigError(
            "This file does not tell how an app makes its input.",
            where=f"--from raw; {model}",
            fix="measure a file that edgekd exported, or leave --from raw out",
        )
    spec = deployed.model.input
    one = spec if isinstance(spec, InputSpec) else None
    takes_pictures = one is not None and one.kind == "image"
    takes_recordings = one is not None and one.sound is not None
    size = (one.shape[1], one.shape[2]) if one is not None and takes_pictures else None
    settings = named_settings(source, size=size)
    if not isinstance(settings, ImageFolderData | AudioFolderData):
        raise DataError(
            "This source has no pictures or recordings as files, so nothing is decoded.",
            where=f"--from raw; {source}",
            fix="give a folder or .zip of them, or a pipeline file that names one",
        )
    pictures = isinstance(settings, ImageFolderData)
    if not (takes_pictures if pictures else takes_recordings):
        wanted = "pictures" if takes_pictures else "recordings" if takes_recordings else "numbers"
        raise DataError(
            f"The model takes {wanted}, and the source has "
            f"{'pictures' if pictures else 'recordings'}.",
            where=f"{model}; {source}",
        )
    data = load_source(settings, Path.cwd())
    assert data.test.ids is not None
    chosen = np.unique(np.linspace(0, len(data.test) - 1, FILES).round().astype(int))
    paths: list[Path] = []
    with Files(settings.location(Path.cwd())) as files:
        for number, place in enumerate(chosen):
            name = str(data.test.ids[place])
            paths.append(folder / f"raw{number}{Path(name).suffix.lower()}")
            paths[-1].write_bytes(files.read(name))
    labels = tuple(data.labels[int(data.test.y[place])] for place in chosen)
    kind = "pictures" if pictures else "recordings"
    return RawFiles(kind, tuple(paths), labels, deployed.model.labels)


def measure_raw(
    rows: Sequence[BenchRow], files: dict[str, RawFiles], settings: BenchSettings
) -> list[BenchRow]:
    """The rows with their figures from raw files on; the models take turns in each round.

    Args:
        files: by the rows' models.

    Raises:
        StageError: a process fails.
    """
    results: list[list[dict[str, Any]]] = [[] for _ in rows]
    job: dict[str, Any] = measuring_length(settings)
    patience = PATIENCE + 2 * job["min_seconds"]
    for _round in range(settings.processes):
        for row, found in zip(rows, results, strict=True):
            paths = [str(path) for path in files[row.model].paths]
            asked = {**job, "model": row.model, "threads": row.threads, "files": paths}
            what = f"{row.model} from raw files"
            found.append(ask(PROCESS, asked, patience, what))
    return [
        row.model_copy(update={"raw": _figures(files[row.model], found)})
        for row, found in zip(rows, results, strict=True)
    ]


def _figures(files: RawFiles, results: Sequence[dict[str, Any]]) -> RawFigures:
    steps = {name: latency([result["steps"][name] for result in results]) for name in STEPS}
    answers = [files.answers[number] for number in results[0]["answers"]]
    right = sum(answer == label for answer, label in zip(answers, files.labels, strict=True))
    return RawFigures(kind=files.kind, files=len(files.paths), right=right, steps=steps)
