"""`edgekd data` of a signal: its channels, and the windows of each class in each split."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from edgekd.config.data import SeriesData
from edgekd.data import series
from edgekd.data.inspect_arrays import sample_sheet
from edgekd.data.series_signal import channel_values
from edgekd.data.table_file import read_table


def inspect_series(settings: SeriesData, sheet: Path | None) -> Iterator[str]:
    """Lines about a .csv or .parquet file with a row a step.

    Args:
        settings: `path` is absolute.
        sheet: a .png file for a contact sheet of windows, a row a class.

    Raises:
        DataError: the signal cannot be used; says why.
    """
    assert settings.path is not None
    window = settings.window
    table = read_table(settings.path)
    dataset = series.load(settings, settings.path.parent)
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
    yield from sample_sheet(dataset, sheet)
