"""`edgekd data` of a table: its columns, and its classes in each split."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from edgekd.config.data import TableData
from edgekd.data import table
from edgekd.data.table_file import Table, numbers, read_table
from edgekd.spec import InputSpec


def inspect_table(settings: TableData) -> Iterator[str]:
    """Lines about a .csv or .parquet file.

    Args:
        settings: `path` is absolute.

    Raises:
        DataError: the table cannot be used; says why.
    """
    assert settings.path is not None
    (label,) = settings.label
    found = read_table(settings.path)
    dataset = table.load(settings, settings.path.parent)
    yield f"{dataset.name}: {len(found)} rows, {len(found.columns)} columns"
    yield f"{'column':24} {'kind':12} {'missing':>8}  values"
    for part in dataset.spec.inputs:
        for name in part.columns:
            yield _column(found, name, part)
    yield f"{label:24} {dataset.task:12} {0:8}  the label; --label names another"
    if dataset.task in ("classification", "binary"):
        yield f"{'class':24} " + " ".join(f"{part:>10}" for part in dataset.splits)
        for number, name in enumerate(dataset.labels):
            counts = [int((split.y == number).sum()) for split in dataset.splits.values()]
            yield f"{name:24} " + " ".join(f"{count:10}" for count in counts)
    for warning in dataset.warnings:
        yield f"note: {warning}"


def _column(found: Table, name: str, part: InputSpec) -> str:
    texts = found.column(name)
    missing = int((texts == "").sum())
    if part.kind == "codes":
        known = part.vocabulary[part.columns.index(name)]
        different = len(np.unique(texts[texts != ""]))
        told = f"{different}, {len(known)} with a code: {', '.join(known[:4])}"
        kind = "categorical"
    else:
        values = numbers(texts)
        told = f"{np.nanmin(values):g} to {np.nanmax(values):g}"
        kind = "numeric"
    return f"{name:24} {kind:12} {missing:8}  {told}"
