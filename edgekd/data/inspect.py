"""`edgekd data`: what a source holds, told before anything is trained on it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from edgekd.config.data import FolderData, NpzData, SeriesData, TableData
from edgekd.data import npz, series_arrays
from edgekd.data.guess import Kind, guess_source
from edgekd.data.inspect_arrays import inspect_arrays
from edgekd.data.inspect_folder import inspect_folder
from edgekd.data.inspect_series import inspect_series
from edgekd.data.inspect_table import inspect_table
from edgekd.errors import DataError


def inspect(
    path: Path,
    *,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    sheet: Path | None = None,
    window: int | None = None,
    kind: Kind | None = None,
) -> Iterator[str]:
    """Lines about a folder, .zip, .npz file or table, and about what of it would stop a run.

    Args:
        label: expression that finds a recording's class in its name; of a table, the column of
            its label, or else the last one.
        size: height and width that pictures have on the sheet.
        sheet: a .png file for a contact sheet, a row a class.
        window: the table is a signal with a row a step, and a window has so many of them.
        kind: what samples of three axes in an .npz file are; told by their shape if left out.

    Raises:
        DataError: the source cannot be used at all; says why.
    """
    found = guess_source(path, label=label, size=size, window=window, kind=kind)
    if isinstance(found, FolderData):
        yield from inspect_folder(found, sheet)
    elif isinstance(found, TableData):
        if sheet is not None:
            raise DataError(
                "The rows of a table are nothing to be drawn.",
                where=f"--sheet {sheet}",
                fix="leave it out; a table over time is drawn with --window N",
            )
        yield from inspect_table(found)
    elif isinstance(found, NpzData):
        yield from inspect_arrays(npz.load(found, path.parent), sheet)
    elif isinstance(found, SeriesData) and found.of_windows:
        dataset = series_arrays.load(found, path.parent)
        yield f"x: taken for windows of channels over time ({found.layout}); --kind images if not"
        yield from inspect_arrays(dataset, sheet)
    else:
        yield from inspect_series(found, sheet)
