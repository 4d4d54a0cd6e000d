"""The columns of a table as a network's inputs, the same in training and for new rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.assemble import channel_statistics
from edgekd.data.table_file import Table, numbers
from edgekd.errors import DataError
from edgekd.spec import Inputs, InputSpec, NamedInputs

NUMERIC_SHARE = 0.9
"""A column of which so many values are numbers is numeric, and the rest are mistakes."""


def kinds(
    table: Table, names: Sequence[str], numeric: Sequence[str], categorical: Sequence[str]
) -> tuple[list[str], list[str]]:
    """Numeric and categorical columns of `names`, in the table's order."""
    found: tuple[list[str], list[str]] = ([], [])
    for name in names:
        is_numeric = name in numeric or (
            name not in categorical and _mostly_numbers(table.column(name))
        )
        found[0 if is_numeric else 1].append(name)
    return found


def columns_spec(
    table: Table, numeric: list[str], categorical: list[str], min_count: int, most: int
) -> Inputs:
    """The inputs that the training rows make: mean, deviation and vocabulary are theirs.

    Raises:
        DataError: a value of a numeric column is no number, or all are missing.
    """
    parts = []
    if numeric:
        values = _values(table, numeric)
        empty = [numeric[column] for column in np.flatnonzero(np.isnan(values).all(axis=0))]
        if empty:
            raise DataError(
                f"Column {empty[0]!r} has no value in any training row.",
                where=table.where,
                fix="add it to data.drop",
            )
        means = np.nanmean(values, 0)
        mean, std = channel_statistics(np.where(np.isnan(values), means, values))
        parts.append(
            InputSpec(
                name="numbers",
                kind="row",
                shape=(len(numeric),),
                mean=tuple(mean.tolist()),
                std=tuple(std.tolist()),
                columns=tuple(numeric),
            )
        )
    if categorical:
        vocabulary = tuple(_categories(table.column(name), min_count, most) for name in categorical)
        parts.append(
            InputSpec(
                name="codes",
                kind="codes",
                shape=(len(categorical),),
                columns=tuple(categorical),
                vocabulary=vocabulary,
            )
        )
    return parts[0] if not categorical else NamedInputs(inputs=tuple(parts))


def encode(table: Table, spec: Inputs) -> Any:
    """Raw samples of a spec with columns: (N, F) float32 numbers, missing ones the mean; (N, K)
    int32 codes, 0 for what the vocabulary lacks.

    Raises:
        DataError: a column is missing, or a value of a numeric one is no number.
    """
    if isinstance(spec, NamedInputs):
        return {part.name: encode(table, part) for part in spec.inputs}
    if spec.kind == "codes":
        pairs = zip(spec.columns, spec.vocabulary, strict=True)
        coded = [_codes(table.column(name), values) for name, values in pairs]
        return np.stack(coded, 1).astype(np.int32)
    values = _values(table, spec.columns)
    return np.where(np.isnan(values), np.asarray(spec.mean), values).astype(np.float32)


def _mostly_numbers(texts: NDArray[Any]) -> bool:
    known = texts[texts != ""]
    if not len(known):
        return True
    values = numbers(known)
    return bool((~np.isnan(values)).mean() >= NUMERIC_SHARE)


def _values(table: Table, names: Sequence[str]) -> NDArray[np.float64]:
    """(N, F), NaN where a value is missing."""
    found = []
    for name in names:
        texts = table.column(name)
        values = numbers(texts)
        with np.errstate(over="ignore"):
            wrong = ((texts != "") & np.isnan(values)) | np.isinf(values.astype(np.float32))
        if wrong.any():
            row = int(wrong.argmax())
            raise DataError(
                f"{str(texts[row])!r} is no number, and {name!r} is a numeric column.",
                where=table.place(row, name),
                fix="correct it, leave it empty if it is not known, or name the column in "
                "data.categorical",
            )
        found.append(values)
    return np.stack(found, 1)


def _categories(texts: NDArray[Any], min_count: int, most: int) -> tuple[str, ...]:
    """The commonest first, those of one count in the alphabet's order."""
    values, counts = np.unique(texts[texts != ""], return_counts=True)
    order = np.argsort(-counts, kind="stable")
    kept = [str(values[i]) for i in order[:most] if counts[i] >= min_count]
    return tuple(kept)


def _codes(texts: NDArray[Any], vocabulary: Sequence[str]) -> NDArray[np.int64]:
    number = {value: code for code, value in enumerate(vocabulary, start=1)}
    values, inverse = np.unique(texts, return_inverse=True)
    return np.array([number.get(str(value), 0) for value in values])[inverse.reshape(-1)]
