"""`golden.json` of a bundle: samples, the inputs that its preprocessing must make of them to the
bit, and what the model must then answer.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import StageError
from edgekd.package.deployable import DeployedFile
from edgekd.package.linux_code import arithmetic
from edgekd.package.naming import is_table
from edgekd.runtimes.golden import DESCRIPTION, read_golden, tensor_of, tolerance_of
from edgekd.runtimes.loaded import LoadedFile, load

FORMAT_VERSION = 1
RAW_BYTES = 10_000
"""So much of the run's golden samples goes into a bundle: small beside the model."""
RECORDINGS = 2
"""Made-up recordings, because a run keeps its recordings' features only."""

Arrays = dict[str, NDArray[Any]]


def golden_of(file: DeployedFile, spec: Mapping[str, Any]) -> dict[str, Any]:
    """The content.

    Real samples are the run's, as many as stay small, and their answers are those of the export.
    Where there are none, or recordings are asked about, samples are made up, and the file is run.

    Args:
        spec: of `spec_of`.

    Raises:
        StageError: the bundle's preprocessing does not make the input that the export made, or
            there are no golden samples, and none can be made up of tables and several inputs.
    """
    golden: dict[str, Any] = {"format_version": FORMAT_VERSION, "runtime": "", "tolerance": 0.0}
    samples = _of_the_run(file, spec, golden)
    source = spec["inputs"][0]
    made_up = RECORDINGS if source["sound"] else 0 if samples else 1
    if made_up and not _can_make_up(file):
        raise StageError(
            "A bundle checks itself on golden samples, and this run has none. None can be made up "
            "of tables and several inputs.",
            where=str(file.path.parent / DESCRIPTION),
            fix="edgekd run PIPELINE --set export.golden=8",
        )
    if made_up:
        runtime = load(file.path)
        golden["runtime"] = golden["runtime"] or f"{runtime.name} {runtime.version}"
        for number in range(made_up):
            samples.append(_made_up(runtime, source, number))
        tolerance = tolerance_of(
            np.array([sample["output"] for sample in samples], spec["output"]["dtype"]),
            file.told.precision,
        )
        golden["tolerance"] = golden["tolerance"] or tolerance
    return {**golden, "samples": samples}


def _can_make_up(file: DeployedFile) -> bool:
    """Whether every bundle can make a sample of this model by a formula."""
    source, *others = file.told.model.input.inputs
    return not (others or source.kind == "codes" or is_table(file.told.model))


def _of_the_run(
    file: DeployedFile, spec: Mapping[str, Any], golden: dict[str, Any]
) -> list[dict[str, Any]]:
    """The first samples of the export's golden file; its runtime and tolerance go into `golden`."""
    path = file.path.parent / DESCRIPTION
    if not path.is_file():
        return []
    told, tensors = read_golden(path)
    entry = next((each for each in told.files if each.file == file.path.name), None)
    if entry is None:
        return []
    golden["runtime"], golden["tolerance"] = entry.runtime, entry.tolerance
    raw = {part.name: tensor_of(tensors, part, path) for part in told.raw}
    fed = {part.name: tensor_of(tensors, part, path) for part in entry.inputs}
    outputs = tensor_of(tensors, entry.output, path)
    found: list[dict[str, Any]] = []
    room = RAW_BYTES
    for number in range(told.samples):
        one = {name: _small(values[number]) for name, values in raw.items()}
        room -= sum(values.nbytes for values in one.values())
        if room < 0 and (found or _can_make_up(file)):
            break
        made = _prepared(one, spec)
        for name, values in made.items():
            if values.tobytes() != fed[name][number].tobytes():
                raise StageError(
                    "The bundle's preprocessing makes another input than the export did.",
                    where=f"{path}, sample {number}, input {name}",
                    fix="export the model again with this version of edgekd",
                )
        sample = {"row": _row(one, spec)} if is_table(file.told.model) else {"raw": _texts(one)}
        found.append({**sample, **_wanted(made, outputs[number])})
    return found


def _prepared(raw: Arrays, spec: Mapping[str, Any]) -> Arrays:
    return {
        part["name"]: arithmetic.lay_out(arithmetic.normalise(raw[part["name"]], part), part)
        for part in spec["inputs"]
    }


def _made_up(runtime: LoadedFile, source: Mapping[str, Any], number: int) -> dict[str, Any]:
    told = dict(source)
    given = arithmetic.made_up(told, number)
    if told["sound"] is not None:
        given = arithmetic.log_mel(given, told)
    elif told["kind"] == "image" and told["peak"] is not None:
        given = arithmetic.picture(given, told)
    made = {told["name"]: arithmetic.lay_out(arithmetic.normalise(given, told), told)}
    return {"made_up": number, **_wanted(made, runtime.run_placed(made)[0])}


def _wanted(made: Arrays, output: NDArray[Any]) -> dict[str, Any]:
    return {
        "inputs": {name: hashlib.sha256(v.tobytes()).hexdigest() for name, v in made.items()},
        "output": output.tolist(),
    }


def _small(values: NDArray[Any]) -> NDArray[Any]:
    """The same numbers in the smallest of uint8, int32 and float32 that holds them."""
    if values.min() >= 0 and values.max() <= 255 and (values == np.floor(values)).all():
        return values.astype(np.uint8)
    return values.astype("<i4" if values.dtype.kind in "iu" else "<f4")


def _texts(raw: Arrays) -> dict[str, Any]:
    return {
        name: {
            "dtype": values.dtype.name,
            "shape": list(values.shape),
            "base64": base64.b64encode(values.tobytes()).decode(),
        }
        for name, values in raw.items()
    }


def _row(raw: Arrays, spec: Mapping[str, Any]) -> dict[str, Any]:
    """A table's row: numbers in the shortest text that gives the same float32, categories, and
    null for what the vocabulary lacks."""
    row: dict[str, Any] = {}
    for part in spec["inputs"]:
        values = raw[part["name"]].tolist()
        if part["kind"] != "codes":
            numbers = (float(str(np.float32(value))) for value in values)
            row |= dict(zip(part["columns"], numbers, strict=True))
            continue
        for column, words, code in zip(part["columns"], part["vocabulary"], values, strict=True):
            row[column] = words[code - 1] if code else None
    return row
