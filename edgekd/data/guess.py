"""What kind of source a file or folder is, for commands that are given nothing but its path."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np

from edgekd.config.data import (
    AudioFolderData,
    ImageFolderData,
    NpzData,
    SeriesData,
    TableData,
)
from edgekd.data import series_guess, sound, table_file
from edgekd.data.archive import Files
from edgekd.data.npz_file import read_headers
from edgekd.errors import DataError

Kind = Literal["images", "series"]
"""What samples of three axes are."""
Guessed = ImageFolderData | AudioFolderData | NpzData | SeriesData | TableData
LONGER = 3
"""A signal's time is so many times longer than it has channels; a picture is not so long."""


def guess_source(
    path: Path,
    *,
    label: str | None = None,
    size: tuple[int, int] | None = None,
    window: int | None = None,
    kind: Kind | None = None,
) -> Guessed:
    """The source that reads `path`, with an absolute path.

    Args:
        label: expression that finds a recording's class in its name; of a table, the column of
            its label, or else the last one.
        size: height and width of pictures.
        window: the table is a signal with a row a step, and a window has so many of them.
        kind: what samples of three axes in an .npz file are; told by their shape if left out.

    Raises:
        DataError: there is no such file, or no source reads it.
    """
    path = path.absolute()
    suffix = path.suffix.lower()
    if window is not None and suffix not in table_file.SUFFIXES:
        raise DataError(
            "Windows are cut of a table with a row a step.",
            where=str(path),
            fix="give a .csv or .parquet file, or leave --window out",
        )
    if suffix in table_file.SUFFIXES:
        table = table_file.read_table(path)
        if window is not None:
            return series_guess.guess(table, label, window)
        return TableData(path=path, label=(label or list(table.columns)[-1],))
    if suffix == ".npz":
        return _arrays(path, kind)
    if path.is_dir() or suffix == ".zip":
        return _folder(path, label, size)
    raise DataError(
        "No source reads this kind of file." if path.exists() else "There is no such file.",
        where=str(path),
        fix="give a .csv, .parquet or .npz file, or a folder or .zip of pictures or recordings",
    )


def _arrays(path: Path, kind: Kind | None) -> NpzData | SeriesData:
    headers = read_headers(path)
    x = headers.get("x_train", headers.get("x"))
    if x is None or len(x.shape) != 3 or kind == "images":
        return NpzData(path=path)
    layout = windows_layout(x.shape, x.dtype)
    if layout is None and kind is None:
        return NpzData(path=path)
    return SeriesData(path=path, layout=layout or "NCT")


def windows_layout(shape: tuple[int, ...], dtype: np.dtype[Any]) -> Literal["NCT", "NTC"] | None:
    """How samples of three axes are windows of a signal; None where they are grey pictures.

    Pictures have 8 bits or sides of a like length; a signal is longer than it has channels.
    """
    _, first, last = shape
    if dtype.itemsize == 1:
        return None
    if last >= LONGER * first:
        return "NCT"
    return "NTC" if first >= LONGER * last else None


def _folder(
    path: Path, label: str | None, size: tuple[int, int] | None
) -> ImageFolderData | AudioFolderData:
    """Pictures or recordings: whichever there are more of."""
    with Files(path) as files:
        names = [name.lower() for name in files.names]
    if sum(name.endswith((*sound.WAV, *sound.OTHERS)) for name in names) * 2 > len(names):
        return AudioFolderData(path=path, label=label)
    return ImageFolderData(path=path, size=size)
