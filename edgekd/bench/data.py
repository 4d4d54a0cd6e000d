"""A user's test data for a model file that tells how its input is made."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.targets import read_targets
from edgekd.errors import DataError
from edgekd.runtimes.inputs import arrange
from edgekd.spec import DeployedSpec, ModelSpec, NamedInputs

Test = tuple[NDArray[np.float32], NDArray[Any]]
"""Normalised samples (N, *shape), and targets as in `edgekd.data.dataset.Split.y`."""


def read_test(data: Path, deployed: DeployedSpec | None, model: Path) -> Test:
    """Normalised samples (N, *shape), float32, and targets of an .npz file, for a model.

    Args:
        data: holds raw samples `x` (or `x_test`) and targets `y` (or `y_test`).
        deployed: what the model's file tells about itself.
        model: names the model's file in errors.

    Raises:
        DataError: the data does not fit, or the model does not tell how its input is made.
    """
    if deployed is None:
        raise DataError(
            "This model does not tell how its input is made, so its accuracy cannot be measured.",
            where=str(model),
            fix="leave the data out, or export the model again with edgekd",
        )
    if data.suffix.lower() in (".csv", ".tsv", ".parquet"):
        raise DataError(
            "Samples are read from .npz files only: a table does not say which column the model "
            "was to answer.",
            where=str(data),
            fix="leave the data out; the bench stage of a pipeline measures the accuracy",
        )
    try:
        with np.load(data, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError("This is not an .npz file.", where=str(data))
            x = _either(arrays, "x_test", "x", data)
            y = _either(arrays, "y_test", "y", data)
    except (OSError, ValueError, EOFError) as error:
        raise DataError("This .npz file cannot be read.", where=f"{data}: {error}") from error
    spec = deployed.model
    if isinstance(spec.input, NamedInputs):
        raise DataError(
            "An .npz file cannot hold the samples of a model with several inputs.",
            where=str(data),
            fix="leave the data out; the bench stage of a pipeline measures the accuracy",
        )
    samples = arrange(x, spec.input, f"{data}, x")
    if spec.task in ("multilabel", "regression"):
        targets = _columns(y, len(samples), spec, str(data))
    else:
        targets = numbers(y, spec.labels, str(data))
    if len(samples) != len(targets):
        raise DataError(
            f"There are {len(samples)} samples and {len(targets)} labels.", where=str(data)
        )
    return spec.input.normalise(samples), targets


def _columns(y: NDArray[Any], count: int, spec: ModelSpec, where: str) -> NDArray[np.float32]:
    """Targets (N, L) of several labels or of a regression.

    Raises:
        DataError: they are none, or not as many a sample as the model has outputs.
    """
    found = read_targets(
        {"train": y}, counts={"train": count}, where={"train": where}, task=spec.task
    ).y["train"]
    if found.shape[1] != len(spec.labels):
        raise DataError(
            f"There are {found.shape[1]} targets a sample, and the model gives {len(spec.labels)}.",
            where=where,
        )
    return found


def _either(arrays: Any, first: str, second: str, data: Path) -> NDArray[Any]:
    for name in (first, second):
        if name in arrays:
            return arrays[name]
    raise DataError(
        f"There is no array {second}.", where=f"{data}: it has {', '.join(arrays.files)}"
    )


def numbers(y: NDArray[Any], labels: tuple[str, ...], where: str) -> NDArray[np.int64]:
    """Labels (N,), names or numbers, as the model's numbers of classes.

    Raises:
        DataError: a label is unknown to the model.
    """
    if y.ndim != 1:
        raise DataError(f"Labels of shape {y.shape} are not one for each sample.", where=where)
    if y.dtype.kind == "U":
        place = {label: number for number, label in enumerate(labels)}
        unknown = sorted(set(y.tolist()) - place.keys())
        if unknown:
            raise DataError(f"The model does not know the label {unknown[0]!r}.", where=where)
        return np.array([place[label] for label in y.tolist()], np.int64)
    if y.dtype.kind not in "iu":
        raise DataError(f"Labels of {y.dtype} are neither names nor whole numbers.", where=where)
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < len(labels):
        raise DataError(
            f"Labels go from {y.min()} to {y.max()}, the model knows 0 to {len(labels) - 1}.",
            where=where,
        )
    return y.astype(np.int64)
