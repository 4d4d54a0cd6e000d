"""A user's test data for a model file that tells how its input is made."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.bench.table_data import read_table_test
from edgekd.bench.targets import targets_of
from edgekd.data.table_file import SUFFIXES
from edgekd.errors import DataError
from edgekd.runtimes.inputs import arrange
from edgekd.spec import DeployedSpec, NamedInputs

Test = tuple[Any, NDArray[Any]]
"""Normalised samples (N, *shape), by name where there are several inputs, and targets as in
`edgekd.data.dataset.Split.y`.
"""


def read_test(data: Path, deployed: DeployedSpec, model: Path, label: Sequence[str] = ()) -> Test:
    """Normalised samples (N, *shape), float32, and targets of a file, for a model.

    Args:
        data: an .npz file of raw samples `x` (or `x_test`) and targets `y` (or `y_test`), or a
            .csv or .parquet file with the columns of the training data.
        deployed: what the model's file tells about itself.
        model: names the model's file in errors.
        label: a table's column of the targets, or columns; left out, they are found by the model's
            labels.

    Raises:
        DataError: the data does not fit.
    """
    spec = deployed.model
    if data.suffix.lower() in SUFFIXES:
        return read_table_test(data, spec, label)
    if label:
        raise DataError("Only a table has a column of labels.", where=f"--label; {data}")
    if isinstance(spec.input, NamedInputs):
        raise DataError(
            "An .npz file cannot hold the samples of a model with several inputs.",
            where=str(data),
            fix="give a .csv or .parquet file with the columns of the training data",
        )
    x, y = npz_arrays(data, ("x_test", "x"), ("y_test", "y"))
    samples = arrange(x, spec.input, f"{data}, x")
    targets = targets_of(y, len(samples), spec, str(data))
    if len(samples) != len(targets):
        raise DataError(
            f"There are {len(samples)} samples and {len(targets)} labels.", where=str(data)
        )
    return spec.input.normalise(samples), targets


def npz_arrays(data: Path, *wanted: Sequence[str]) -> list[NDArray[Any]]:
    """Arrays of an .npz file, each the first that there is of some names.

    Raises:
        DataError: the file cannot be read, or has none of the names.
    """
    try:
        with np.load(data, allow_pickle=False) as arrays:
            if not isinstance(arrays, np.lib.npyio.NpzFile):
                raise DataError("This is not an .npz file.", where=str(data))
            return [_first(arrays, names, data) for names in wanted]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise DataError("This .npz file cannot be read.", where=f"{data}: {error}") from error


def _first(arrays: Any, names: Sequence[str], data: Path) -> NDArray[Any]:
    for name in names:
        if name in arrays:
            return arrays[name]
    raise DataError(
        f"There is no array {names[-1]}.", where=f"{data}: it has {', '.join(arrays.files)}"
    )
