"""`edgekd data` of a signal: its channels, and the windows of each class in each split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekd.data import series
from edgekd.data.series_guess import guess
from edgekd.data.series_signal import channel_values
from edgekd.data.table_file import SUFFIXES, read_table
from edgekd.errors import DataError


def inspect_series(path: Path, label: str | None, window: int) -> Iterator[str]:
    """Lines about a .csv or .parquet file with a row a step.

    Args:
        label: the column that is to be told; the last one if left out.
        window: steps of a window.

    Raises:
        DataError: the signal cannot be used; says why.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise DataError(
            "Windows are cut of a table with a row a step.",
            where=str(path),
            fix="give a .csv or .parquet file, or leave --window out",
        )
    table = read_table(path)
    settings = guess(table, label, window)
    dataset = series.load(settings, path.parent)
    channels = dataset.spec.inputs[0].columns
    yield f"{dataset.name}: {len(table):,} steps, {len(channels)} channels, windows of {window}"
    yield f"{'column':24} {'kind':10} values"
    values = channel_values(table, channels)
    for name, column in zip(channels, values.T, strict=True):
        mean, deviation = column.mean(dtype=np.float64), column.std(dtype=np.float64)
        spread = f"{column.min():g} to {column.max():g}, {mean:.4g} ± {deviation:.2g}"
        yield f"{name:24} {'channel':10} {spread}"
    if settings.group is not None:
        groups = len(np.unique(table.column(settings.group)))
        yield f"{settings.group:24} {'group':10} {groups} values, each in one part only"
    for name in settings.drop:
        yield f"{name:24} {'left out':10} text, or numbers that rise as a clock does"
    yield f"{settings.label[0]:24} {'label':10} {dataset.task}; --label names another"
    yield f"{'windows':24} " + " ".join(f"{part:>10}" for part in dataset.splits)
    if dataset.task in ("classification", "binary"):
        for number, name in enumerate(dataset.labels):
            counts = [int((split.y == number).sum()) for split in dataset.splits.values()]
            yield f"{name:24} " + " ".join(f"{count:10,}" for count in counts)
    yield f"{'all':24} " + " ".join(f"{len(split):10,}" for split in dataset.splits.values())
    yield from (f"note: {warning}" for warning in dataset.warnings)
