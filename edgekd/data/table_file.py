"""Reading a table: CSV with Python's own reader, Parquet where pyarrow is installed."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import DataError

MISSING = frozenset({"", "na", "n/a", "nan", "null", "none", "?", "-"})
"""Texts that stand for no value, in lower case."""
PARQUET = (".parquet", ".pq")
SUFFIXES = (".csv", *PARQUET)


@dataclass(frozen=True)
class Table:
    """Columns by name, as texts without spaces around them; a missing value is ""."""

    where: str
    columns: dict[str, NDArray[Any]]
    """(N,) of dtype U."""
    lines: NDArray[np.int64]
    """(N,), the line of the file on which each row ends; the row's number where there are none."""

    def __len__(self) -> int:
        return len(self.lines)

    def place(self, row: int, column: str) -> str:
        """Where a value stands, for errors."""
        return f"{self.where}, line {self.lines[row]}, column {column}"

    def column(self, name: str) -> NDArray[Any]:
        """The texts (N,) of a column.

        Raises:
            DataError: there is no such column; names those that there are.
        """
        if name not in self.columns:
            shown = ", ".join(list(self.columns)[:12])
            raise DataError(f"There is no column {name!r}.", where=f"{self.where}: it has {shown}")
        return self.columns[name]


def read_table(path: Path) -> Table:
    """The table of a .csv or .parquet file.

    Raises:
        DataError: the file is missing, empty, not UTF-8, or its rows have different lengths.
    """
    if not path.is_file():
        raise DataError("There is no such file.", where=str(path))
    if path.suffix.lower() in PARQUET:
        return _parquet(path)
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            sample = file.read(1 << 16)
            file.seek(0)
            reader = csv.reader(file, delimiter=_delimiter(sample.partition("\n")[0]))
            names = [name.strip() for name in next(reader, [])]
            _check_names(names, str(path))
            rows, lines = [], []
            for cells in reader:
                if not cells or cells == [""]:
                    continue
                if len(cells) != len(names):
                    raise DataError(
                        f"A row has {len(cells)} values, and there are {len(names)} columns.",
                        where=f"{path}, line {reader.line_num}",
                        fix="quote values that hold a comma, or complete the row",
                    )
                rows.append(cells)
                lines.append(reader.line_num)
    except UnicodeDecodeError as error:
        raise DataError(
            "This file is not UTF-8 text.",
            where=f"{path}: {error}",
            fix="save it as UTF-8, for example: iconv -f LATIN1 -t UTF-8 old.csv > new.csv",
        ) from error
    except csv.Error as error:
        raise DataError("This is no CSV file.", where=f"{path}: {error}") from error
    if not rows:
        raise DataError("This table has no rows.", where=str(path))
    columns = {
        name: _texts(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    return Table(str(path), columns, np.array(lines))


def from_arrays(where: str, columns: dict[str, NDArray[Any]]) -> Table:
    """A table of arrays (N,) that are in memory."""
    texts = {name: _texts([_text(value) for value in a.tolist()]) for name, a in columns.items()}
    return Table(where, texts, np.arange(1, 1 + len(next(iter(texts.values())))))


def numbers(texts: NDArray[Any]) -> NDArray[np.float64]:
    """A column's values (N,), NaN where one is missing or no number."""
    values = np.where(texts == "", "nan", texts)
    try:
        return values.astype(np.float64)
    except ValueError:
        return np.array([_number(text) for text in values.tolist()])


def label_columns(tables: Mapping[str, Table], names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The columns that are to be told, (N, L) a table: integers or floats where all are numbers in
    all of them, else texts.

    Raises:
        DataError: there is no such column, or a row has no label.
    """
    raw = {}
    for part, table in tables.items():
        columns = []
        for name in names:
            texts = table.column(name)
            if (texts == "").any():
                row = int((texts == "").argmax())
                raise DataError(
                    "A row has no label.",
                    where=table.place(row, name),
                    fix="fill it in, or remove the row",
                )
            columns.append(texts)
        raw[part] = np.stack(columns, 1)
    found = {part: np.stack([numbers(t) for t in texts.T], 1) for part, texts in raw.items()}
    if any(np.isnan(values).any() for values in found.values()):
        return raw
    return {
        part: values.astype(np.int64) if (values == np.floor(values)).all() else values
        for part, values in found.items()
    }


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return float("nan")


def _text(value: Any) -> str:
    if value is None or value != value:  # noqa: PLR0124
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _texts(values: Sequence[str]) -> NDArray[Any]:
    texts = np.char.strip(np.array(values, dtype=str))
    found = np.unique(texts)
    gaps = [text for text in found.tolist() if text.lower() in MISSING]
    return np.where(np.isin(texts, gaps), "", texts) if gaps else texts


def _delimiter(first_line: str) -> str:
    """Of comma, semicolon and tab, what the line of names has most of."""
    return max(",;\t", key=first_line.count)


def _check_names(names: list[str], where: str) -> None:
    if not names or names == [""]:
        raise DataError("This table is empty.", where=where)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise DataError(
            f"Two columns are called {twice[0]!r}.", where=where, fix="name each column once"
        )
    if "" in names:
        raise DataError(
            f"Column {names.index('') + 1} has no name.",
            where=f"{where}, line 1",
            fix="the first line of a table names its columns",
        )


def _parquet(path: Path) -> Table:
    try:
        from pyarrow import parquet  # type: ignore[import-not-found]
    except ImportError as error:
        raise DataError(
            "Parquet is not read without pyarrow.",
            where=str(path),
            fix='pip install "edgekd[parquet]", or save the table as .csv',
        ) from error
    try:
        found = parquet.read_table(path)
    except Exception as error:  # pyarrow's errors share no public base
        raise DataError("This is no Parquet file.", where=f"{path}: {error}") from error
    _check_names([str(name) for name in found.column_names], str(path))
    if not found.num_rows:
        raise DataError("This table has no rows.", where=str(path))
    columns = {
        str(name): _texts([_text(value) for value in found.column(name).to_pylist()])
        for name in found.column_names
    }
    return Table(str(path), columns, np.arange(1, 1 + found.num_rows))
