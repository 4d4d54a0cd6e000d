"""The `table` source: rows of numbers and categories, and what is to be told of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import TableData
from edgekd.data.assemble import assemble
from edgekd.data.cache import files_fingerprint
from edgekd.data.dataset import Dataset, Split
from edgekd.data.splits import split_off, take_groups
from edgekd.data.table_columns import columns_spec, encode, kinds
from edgekd.data.table_file import Table, from_arrays, label_columns, read_table
from edgekd.data.targets import Targets, read_targets
from edgekd.errors import DataError

TARGET = "target"
"""What scikit-learn's tables call their label here."""
UNIQUE = 0.9
"""A categorical column with so many different values, relative to the rows, tells nothing."""


def load(settings: TableData, base: Path) -> Dataset:
    """The data set of a table.

    Raises:
        DataError: the file or a column cannot be used; says which line and value, and what to do.
    """
    tables = _tables(settings, base)
    label = settings.label or (TARGET,)
    targets = _targets(tables, label, settings)
    rows = _rows(tables, targets, settings)
    train = _only(tables["train"], rows["train"].x)
    used = {*label, *settings.drop, settings.group}
    for name in (*label, *settings.drop, *settings.numeric, *settings.categorical):
        tables["train"].column(name)
    names = [name for name in train.columns if name not in used]
    numeric, categorical = kinds(train, names, settings.numeric, settings.categorical)
    if not names:
        raise DataError("No column is left as an input.", where=train.where)
    spec = columns_spec(train, numeric, categorical, settings.min_count, settings.max_categories)
    splits = {
        part: Split(encode(_only(_table_of(tables, part), split.x), spec), split.y)
        for part, split in rows.items()
    }
    notes = (*targets.notes, *_doubts(train, categorical))
    name = settings.sklearn or Path(tables["train"].where).stem
    return assemble(name, splits, targets.labels, notes, task=targets.task, spec=spec)


def source_fingerprint(settings: TableData, base: Path) -> str:
    """SHA-256 of the files' content, hexadecimal; of scikit-learn's tables, of their name.

    Raises:
        DataError: there is no such file.
    """
    named = [path for path in (settings.path, settings.test_file) if path is not None]
    places = [settings.location(base, path) for path in named]
    return files_fingerprint(places, settings.sklearn or "")


def _tables(settings: TableData, base: Path) -> dict[str, Table]:
    if settings.path is None:
        return {"train": _sklearn(str(settings.sklearn))}
    tables = {"train": read_table(settings.location(base, settings.path))}
    if settings.test_file is not None:
        tables["test"] = read_table(settings.location(base, settings.test_file))
    return tables


def _sklearn(name: str) -> Table:
    """One of the tables that come with scikit-learn; classes have their names."""
    from sklearn import datasets

    found: Any = getattr(datasets, f"load_{name}")()
    columns = dict(zip(found.feature_names, np.asarray(found.data).T, strict=True))
    classes = getattr(found, "target_names", None)
    target = found.target if classes is None else np.asarray(classes)[found.target]
    return from_arrays(f"scikit-learn's {name}", {**columns, TARGET: target})


def _targets(tables: dict[str, Table], label: Sequence[str], settings: TableData) -> Targets:
    return read_targets(
        label_columns(tables, label),
        counts={part: len(table) for part, table in tables.items()},
        where={part: f"{table.where}, column {label[0]}" for part, table in tables.items()},
        task=settings.task,
        labels=settings.labels,
        columns=label,
        numbers_are_names=True,
    )


def _rows(tables: dict[str, Table], targets: Targets, settings: TableData) -> dict[str, Split]:
    """Row numbers of each part in their file, as `x` (N,), and their targets."""
    parts = {part: Split(np.arange(len(y)), y) for part, y in targets.y.items()}
    table = tables["train"]
    for part, share in (("test", settings.test), ("validation", settings.validation)):
        if part in parts:
            continue
        train = parts["train"]
        if settings.group is not None:
            groups = table.column(settings.group)[train.x]
            taken = take_groups(groups, share, settings.split_seed, part, table.where)
            parts["train"], parts[part] = (
                Split(train.x[kept], train.y[kept]) for kept in (~taken, taken)
            )
            continue
        parts["train"], parts[part] = split_off(
            train,
            share,
            settings.split_seed,
            targets.labels,
            what=part,
            where=table.where,
            task=targets.task,
        )
    return parts


def _only(table: Table, rows: NDArray[np.int64]) -> Table:
    columns = {name: texts[rows] for name, texts in table.columns.items()}
    return Table(table.where, columns, table.lines[rows])


def _table_of(tables: dict[str, Table], part: str) -> Table:
    return tables["test"] if part == "test" and "test" in tables else tables["train"]


def _doubts(train: Table, categorical: Sequence[str]) -> Iterator[str]:
    for name in categorical:
        texts = train.column(name)
        if len(np.unique(texts)) > UNIQUE * len(texts):
            yield (
                f"column {name!r} has another value in nearly every row, so nothing is learnt "
                "from it: add it to data.drop"
            )
