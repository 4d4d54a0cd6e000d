"""TFLite metadata as Android's tooling reads it, written with tflite-support in an environment of
its own: https://ai.google.dev/edge/litert/models/metadata.

tflite-support writes the whole file anew by a schema of 2023, which forgets the alignment of
constants and every field that came later. So it works on a copy; what it made, the entry
`TFLITE_METADATA` and the labels that it packed as a ZIP file behind the model, goes into the file.
"""

from __future__ import annotations

import io
import tempfile
import zipfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

from edgekd.environments import environment, run
from edgekd.errors import StageError
from edgekd.export import flatbuffer
from edgekd.export.baked import is_pixels
from edgekd.export.facts import Facts
from edgekd.progress import SILENT, Progress
from edgekd.spec import DeployedSpec, InputSpec
from edgekd.store import write_atomic, write_json

SCRIPT = "write_tflite_metadata.py"
ENTRY = "TFLITE_METADATA"
LABELS = "labels.txt"
PIXELS = 255.0
ONCE = (1980, 1, 1, 0, 0, 0)
"""The labels' date in the ZIP file, its earliest: the same model is the same bytes."""


def add_to_tflite(
    path: Path, told: DeployedSpec, facts: Facts, progress: Progress = SILENT
) -> None:
    """Puts metadata and the labels into a TFLite file; edgekd's own entry stays.

    Raises:
        EnvironmentMissing: the environment of tflite-support cannot be made; the file is as before.
        StageError: tflite-support does not take the file; likewise.
    """
    python = environment("tflite-support", progress)
    content = path.read_bytes()
    with tempfile.TemporaryDirectory(prefix="edgekd-metadata-") as name:
        copy = Path(name) / "model.tflite"
        copy.write_bytes(content)
        write_json(Path(name) / "job.json", {"model": str(copy), **_job(told, facts)})
        run(python, SCRIPT, [Path(name) / "job.json"], Path(name))
        written = copy.read_bytes()
    entry = flatbuffer.entry(flatbuffer.parse(written), ENTRY)
    if entry is None:
        raise StageError("tflite-support wrote no metadata.", where=str(path))
    model = flatbuffer.parse(content)
    flatbuffer.add_entry(model, ENTRY, entry)
    write_atomic(path, _with_files(flatbuffer.pack(model), written))


def _with_files(model: bytes, written: bytes) -> bytes:
    """The model with the files that are packed behind `written`."""
    if not zipfile.is_zipfile(io.BytesIO(written)):
        return model
    whole = io.BytesIO(model)
    with zipfile.ZipFile(io.BytesIO(written)) as packed, zipfile.ZipFile(whole, "a") as target:
        for name in packed.namelist():
            target.writestr(zipfile.ZipInfo(name, ONCE), packed.read(name))
    return whole.getvalue()


def _job(told: DeployedSpec, facts: Facts) -> dict[str, Any]:
    spec = told.model
    named = spec.task != "regression"
    return {
        **asdict(facts),
        "inputs": [_input(part, told) for part in spec.input.inputs],
        "output": {
            "name": spec.output,
            "description": _output(told),
            "labels": list(spec.labels) if named else None,
        },
        "labels": LABELS,
    }


def _output(told: DeployedSpec) -> str:
    if told.preprocess == "baked":
        return "Probabilities." if told.model.task != "regression" else ", ".join(told.model.labels)
    if told.model.task == "regression":
        return "Standardised answers: " + ", ".join(told.model.labels)
    return "Logits, before any softmax or sigmoid."


def _input(part: InputSpec, told: DeployedSpec) -> dict[str, Any]:
    """An input as the metadata tells it. Of images whose scale is known, mean and deviation are
    those of pixels 0 to 255, as Android's tooling has them; otherwise of the raw numbers.
    """
    found: dict[str, Any] = {"name": part.name, "description": "", "image": None}
    numbers: dict[str, Any] = dict.fromkeys(("mean", "std", "low", "high"))
    if part.kind == "codes":
        return found | numbers | {"description": "Codes of categories."}
    scale = PIXELS / part.peak if part.kind == "image" and part.peak else 1.0
    if told.preprocess == "baked":  # the graph normalises: pixels and numbers go in as they are
        if is_pixels(part):
            ends = {"mean": [0.0], "std": [1.0], "low": [0.0], "high": [PIXELS]}
            return found | ends | {"image": _image(part)}
        return found | numbers | {"description": "Raw numbers."}
    numbers["mean"] = [scale * value for value in part.mean]
    numbers["std"] = [scale * value for value in part.std]
    if part.kind == "image":
        found["image"] = _image(part)
    if is_pixels(part):
        pairs = list(zip(numbers["mean"], numbers["std"], strict=True))
        numbers["low"] = [-mean / std for mean, std in pairs]
        numbers["high"] = [(PIXELS - mean) / std for mean, std in pairs]
    return found | numbers


def _image(part: InputSpec) -> list[Any] | None:
    channels, height, width = part.shape
    colours = {1: "GRAYSCALE", 3: "RGB"}.get(channels)
    return None if colours is None else [colours, height, width]
