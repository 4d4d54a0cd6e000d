"""A table as test data for a model file that tells its columns."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.bench.targets import targets_of
from edgekd.data import series_signal, table_columns
from edgekd.data.table_file import Table, label_columns, read_table
from edgekd.errors import DataError
from edgekd.spec import InputSpec, ModelSpec


def read_table_test(data: Path, spec: ModelSpec, label: Sequence[str]) -> tuple[Any, NDArray[Any]]:
    """Normalised samples and targets of a .csv or .parquet file: a sample a row, or of a signal
    windows one after the other, whose label is what most of their steps have (of a regression, the
    mean).

    Args:
        label: the column of the targets, or columns; left out, columns that are named as the
            model's labels are, or the only other one that holds nothing else than labels.

    Raises:
        DataError: a column is missing or unknown, or a value does not fit.
    """
    table = read_table(data)
    columns = [name for part in spec.input.inputs for name in part.columns]
    if not columns:
        raise DataError(
            "This model was not trained on a table, and does not name columns.",
            where=str(data),
            fix="give an .npz file of x and y",
        )
    for name in columns:
        table.column(name)
    names = tuple(label) or _found(table, spec, columns)
    where = f"{data}, column {', '.join(names)}"
    given = label_columns({"": table}, names)[""]
    if spec.task in ("classification", "binary"):
        if len(names) > 1:
            raise DataError("A class has one column of labels.", where=where)
        given = given[:, 0].astype(str)
    y = targets_of(given, len(table), spec, where)
    if isinstance(spec.input, InputSpec) and spec.input.kind == "series":
        x, y = _windows(table, spec.input, y, spec)
    else:
        x = table_columns.encode(table, spec.input)
    return spec.input.normalise(x), y


def _found(table: Table, spec: ModelSpec, columns: Sequence[str]) -> tuple[str, ...]:
    if set(spec.labels) <= set(table.columns):
        return spec.labels
    other = [name for name in table.columns if name not in columns]
    fits = [name for name in other if set(table.column(name).tolist()) <= set(spec.labels)]
    if spec.task in ("classification", "binary") and len(fits) == 1:
        return (fits[0],)
    raise DataError(
        "Which column has the right answers is not clear.",
        where=f"{table.where}; beside the model's inputs it has {', '.join(other) or 'none'}",
        fix=f"name it: --label COLUMN; the model tells {', '.join(spec.labels[:6])}",
    )


def _windows(
    table: Table, part: InputSpec, y: NDArray[Any], spec: ModelSpec
) -> tuple[NDArray[np.float32], NDArray[Any]]:
    window = part.shape[1]
    x = series_signal.whole_windows(table, part.columns, window)
    starts = np.arange(len(x)) * window
    return x, series_signal.windows_targets(y, starts, window, spec.task)
