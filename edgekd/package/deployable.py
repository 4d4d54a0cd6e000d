"""What a run has to give to an app: its student's files and everything known about them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal, cast

from edgekd.errors import StageError
from edgekd.package.naming import Names, names_of
from edgekd.results import BenchFigures, ModelFigures, Summary
from edgekd.runtimes.exported import AGAIN, read_exported
from edgekd.spec import DeployedSpec, ModelSpec

Format = Literal["tflite", "onnx"]
FORMATS: tuple[Format, ...] = ("tflite", "onnx")


@dataclass(frozen=True)
class DeployedFile:
    """One exported file of the student."""

    path: Path
    format: Format
    content: bytes
    told: DeployedSpec
    facts: Mapping[str, str]
    """Name, description, author and license; empty texts where nobody said."""
    figures: ModelFigures
    bench: tuple[BenchFigures, ...]

    @cached_property
    def sha256(self) -> str:
        """Of the content, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Deployable:
    """What every target packages.

    A run folder of several seeds gives the files of the first one.
    """

    pipeline: str
    """The pipeline's name."""
    key: str
    """Of the export's artefact: it covers the data, all settings, the code and the libraries."""
    version: str
    names: Names
    files: Mapping[Format, DeployedFile]
    """By format: int8 if there is such a file, else float32, else what there is."""
    summary: Summary
    data: str
    """The data set in a few words, "" where its artefact is gone."""

    @property
    def spec(self) -> ModelSpec:
        """What the model takes and gives."""
        return next(iter(self.files.values())).told.model

    def file(self, target: str, formats: Sequence[Format]) -> DeployedFile:
        """The file of the first of `formats` that the run has.

        Raises:
            StageError: it has none of them.
        """
        for form in formats:
            if form in self.files:
                return self.files[form]
        wanted = " or ".join(formats)
        raise StageError(
            f"A bundle for {target} needs a model in {wanted}, and this run exported none.",
            where=f"export.formats of {self.pipeline}",
            fix=f"edgekd run PIPELINE --set 'export.formats=[{', '.join(FORMATS)}]'",
        )


def gather(folder: Path, summary: Summary, version: str) -> Deployable:
    """What the latest run in a run folder has to give.

    Raises:
        StageError: it was not exported, or a file is missing or is not the one that was exported.
    """
    exported = summary.stage("export")
    if exported is None:
        raise StageError(
            "This run has no exported model yet.",
            where=str(folder),
            fix="run the pipeline to its end, without --until",
        )
    chosen = [m for m in summary.models if m.stage == "student" and m.format in FORMATS]
    chosen = [m for m in chosen if m.seed == summary.seed]
    files: dict[Format, DeployedFile] = {}
    for form in FORMATS:
        ours = {m.precision: m for m in chosen if m.format == form}
        for precision in ("int8", "float32", *ours):
            if precision in ours:
                files[form] = _file(folder, ours[precision], summary)
                break
    if not files:
        raise StageError(
            "This run exported neither a TFLite nor an ONNX file of the student.",
            where=str(folder),
            fix="name them in export.formats and run the pipeline again",
        )
    spec = next(iter(files.values())).told.model
    return Deployable(
        pipeline=summary.pipeline,
        key=exported.key,
        version=version,
        names=names_of(summary.pipeline, spec),
        files=files,
        summary=summary,
        data=_data_note(folder, summary),
    )


def _file(folder: Path, figures: ModelFigures, summary: Summary) -> DeployedFile:
    found = read_exported(folder, figures.path)
    bench = tuple(row for row in summary.bench if row.model == figures.path)
    form = cast(Format, figures.format)
    return DeployedFile(found.path, form, found.content, found.told, found.facts, figures, bench)


def _data_note(folder: Path, summary: Summary) -> str:
    stage = summary.stage("data")
    manifest = folder / stage.folder / "manifest.json" if stage is not None else None
    if manifest is None or not manifest.is_file():
        return ""
    try:
        return str(json.loads(manifest.read_bytes())["note"])
    except (OSError, ValueError, KeyError) as error:
        raise StageError("A manifest cannot be read.", where=str(manifest), fix=AGAIN) from error
