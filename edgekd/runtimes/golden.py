"""Golden samples: a few real inputs with the exact outputs that each exported file gives, by which
an app checks on the phone that it feeds and runs the file as it should. See docs/export.md.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from edgekd import inputs
from edgekd.agent import agent
from edgekd.errors import DataError, StageError
from edgekd.runtimes.loaded import check_file, explained
from edgekd.spec import InputSpec, NamedInputs
from edgekd.store import write_atomic

DESCRIPTION, TENSORS = "golden.json", "golden.safetensors"
FLOAT_TOLERANCE = 1e-3
"""Of the largest output: what another processor may round otherwise in float32."""
ROUNDED = ("float16", "int8", "int8-dynamic", "int16x8")
"""Precisions whose activations are rounded inside the file."""
ROUNDED_TOLERANCE = 1e-2
"""Of the largest output, for those."""


class GoldenTensor(BaseModel):
    """Where an array lies in `golden.safetensors`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    """The input or output of the file; of raw samples, the input."""
    tensor: str
    """Its key in the safetensors file."""
    dtype: str
    """numpy's name; little-endian."""
    shape: tuple[int, ...]
    """Samples first; the rest is a sample as the file takes or gives it."""


class GoldenFile(BaseModel):
    """What one exported file is to give."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: str
    sha256: str
    """Of the file that gave these outputs."""
    runtime: str
    """What computed them, with its version."""
    inputs: tuple[GoldenTensor, ...]
    """As the file takes them: normalised, laid out and quantized."""
    output: GoldenTensor
    tolerance: float
    """What an output may differ by: 1 of integers, else an absolute number."""


class Golden(BaseModel):
    """The content of `golden.json`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    format_version: int = 1
    samples: int
    raw: tuple[GoldenTensor, ...]
    """The samples before any preprocessing, channels first, in the training data's units."""
    targets: tuple[Any, ...]
    """Their labels; of several labels or a regression, a list of numbers each."""
    files: tuple[GoldenFile, ...]


@dataclass(frozen=True)
class Checked:
    """How far a file gives what it should."""

    file: str
    samples: int
    largest: float
    """The largest difference of an output."""
    tolerance: float
    same_bytes: bool
    """Whether it is the file that was exported, byte by byte."""


def write_golden(
    folder: Path,
    files: Sequence[Path],
    raw: Any,
    targets: Sequence[Any],
    spec: InputSpec | NamedInputs,
) -> None:
    """Writes `golden.json` and `golden.safetensors` into `folder`.

    Args:
        files: exported files, in this folder.
        raw: samples (N, *shape), or of several inputs by name, in the training data's units.
        targets: N labels, or lists of numbers.
        spec: normalises them.
    """
    from safetensors.numpy import save

    tensors: dict[str, NDArray[Any]] = {}

    def keep(name: str, key: str, values: NDArray[Any]) -> GoldenTensor:
        little = np.ascontiguousarray(values, values.dtype.newbyteorder("<"))
        tensors[key] = little
        return GoldenTensor(name=name, tensor=key, dtype=values.dtype.name, shape=values.shape)

    names = [part.name for part in spec.inputs]
    arrays = [np.asarray(part) for part in inputs.arguments(raw)]
    kept = [keep(n, f"raw/{n}", a) for n, a in zip(names, arrays, strict=True)]
    normalised = spec.normalise(raw)
    told = []
    for path in files:
        model = agent.load(str(path))
        fed = model.prepare(normalised)
        answers = _answers(model, fed)
        given = [
            keep(name, f"{path.name}/input/{name}", part)
            for (name, *_), part in zip(model.inputs, fed, strict=True)
        ]
        name = model.outputs_named[model.answer]
        told.append(
            GoldenFile(
                file=path.name,
                sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
                runtime=f"{model.runtime} {model.version}",
                inputs=tuple(given),
                output=keep(name, f"{path.name}/output/{name}", answers),
                tolerance=tolerance_of(answers, (model.metadata or {}).get("precision", "")),
            )
        )
    golden = Golden(
        samples=len(arrays[0]), raw=tuple(kept), targets=tuple(targets), files=tuple(told)
    )
    write_atomic(folder / TENSORS, save(tensors))
    write_atomic(folder / DESCRIPTION, golden.model_dump_json(indent=1) + "\n")


def check_golden(model: Path, golden: Path | None = None) -> Checked:
    """Runs a file on its golden inputs and compares what it gives.

    Args:
        model: an exported file, under the name that it was exported with.
        golden: `golden.json`; the one beside the file if left out.

    Raises:
        DataError: there are no golden samples of this file, or they are damaged.
        StageError: an output differs by more than the tolerance; the sample is named.
    """
    check_file(model)
    golden = golden or model.parent / DESCRIPTION
    told, tensors = read_golden(golden)
    entry = next((each for each in told.files if each.file == model.name), None)
    if entry is None:
        raise DataError(
            f"There are no golden samples of {model.name}.",
            where=f"{golden}: it has {', '.join(each.file for each in told.files)}",
            fix="keep the name that the file was exported with",
        )
    try:
        loaded = agent.load(str(model))
        fed = [tensor_of(tensors, part, golden) for part in entry.inputs]
        got = _answers(loaded, fed)
    except agent.AgentError as error:
        raise explained(error, DataError) from error
    wanted = tensor_of(tensors, entry.output, golden)
    if got.shape != wanted.shape or got.dtype != wanted.dtype:
        raise StageError(
            f"{model.name} gives {got.dtype} {got.shape}, not {wanted.dtype} {wanted.shape}.",
            where=str(golden),
            fix="this is another file than the one that was exported: export it again",
        )
    differences = np.abs(got.astype(np.float64) - wanted.astype(np.float64))
    differences = np.where(np.isfinite(differences), differences, np.inf)
    largest = float(differences.max())
    if largest > entry.tolerance:
        sample = int(differences.reshape(len(got), -1).max(1).argmax())
        raise StageError(
            f"{model.name} does not give what it gave when it was exported: an output differs by "
            f"{largest:.4g}, and {entry.tolerance:.4g} is allowed.",
            where=f"{golden}, sample {sample} of {told.samples}, in {loaded.runtime} "
            f"{loaded.version} (then {entry.runtime})",
            fix="compare its SHA-256 with the one in golden.json, and the runtimes' versions",
        )
    same = hashlib.sha256(model.read_bytes()).hexdigest() == entry.sha256
    return Checked(model.name, told.samples, largest, entry.tolerance, same)


def _answers(model: agent.ModelFile, fed: list[NDArray[Any]]) -> NDArray[Any]:
    """The answer's tensor for each sample by itself, as an app asks."""
    found = []
    for row in range(len(fed[0])):
        model.use(model.place([part[row : row + 1] for part in fed]))
        model.invoke()
        found.append(np.array(model.outputs()[model.answer]))
    return np.concatenate(found)


def tolerance_of(answers: NDArray[Any], precision: str) -> float:
    """What an output may differ by on another processor, of a file in this precision."""
    if answers.dtype.kind in "iu":
        return 1.0
    share = ROUNDED_TOLERANCE if precision in ROUNDED else FLOAT_TOLERANCE
    return share * max(1.0, float(np.abs(answers).max()))


def read_golden(golden: Path) -> tuple[Golden, dict[str, NDArray[Any]]]:
    """A `golden.json` and the arrays beside it.

    Raises:
        DataError: one of the files is missing or damaged.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        told = Golden.model_validate_json(golden.read_bytes())
        return told, load((golden.parent / TENSORS).read_bytes())
    except (OSError, ValidationError, SafetensorError) as error:
        raise DataError(
            "The golden samples cannot be read.",
            where=f"{golden}: {' '.join(str(error).split())[:200]}",
            fix="export the model again, or name golden.json: --golden",
        ) from error


def tensor_of(tensors: dict[str, NDArray[Any]], told: GoldenTensor, golden: Path) -> NDArray[Any]:
    """One of the arrays that `read_golden` gave.

    Raises:
        DataError: it is missing, or of another shape or type than told.
    """
    found = tensors.get(told.tensor)
    if found is None or found.shape != told.shape or found.dtype.name != told.dtype:
        raise DataError(
            "The golden samples are not those that golden.json tells.",
            where=f"{golden}, {told.tensor}",
            fix="copy both files again, or export the model again",
        )
    return found
