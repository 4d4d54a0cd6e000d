"""Checks that turn arrays as found into samples and classes, or say what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import DataError

COLOURS = (1, 3, 4)
"""Numbers of channels that `auto` knows: grey, RGB, RGBA."""
LONGEST = 1_000_000
"""A class number above this is a mistake, not a class."""


def samples(x: NDArray[Any], layout: Literal["auto", "NHWC", "NCHW"], where: str) -> NDArray[Any]:
    """Samples as (N, C, H, W) or (N, F), contiguous.

    Images of whole numbers from 0 to 255 become uint8, everything else float32.

    Raises:
        DataError: no numbers, NaN or infinite, no such shape, or the channels cannot be told.
    """
    return np.ascontiguousarray(_compact(channels_first(x, layout, where), where))


def channels_first(
    x: NDArray[Any], layout: Literal["auto", "NHWC", "NCHW"], where: str
) -> NDArray[Any]:
    """Samples as (N, C, H, W) or (N, F), their numbers as they are.

    Raises:
        DataError: no numbers, no such shape, or the channels cannot be told.
    """
    if x.dtype.kind not in "buif":
        raise DataError(
            f"Samples are numbers, and these are {x.dtype}.",
            where=where,
            fix="save x as uint8 or float32",
        )
    if x.ndim not in (2, 3, 4) or 0 in x.shape:
        raise DataError(
            f"These samples are {x.shape}; images are (N, H, W), (N, H, W, C) or (N, C, H, W), and "
            "rows are (N, F).",
            where=where,
            fix="reshape x; an image of one channel may leave the channel out",
        )
    if x.ndim == 3:
        x = x[:, None]
    elif x.ndim == 4 and _last_is_channels(x.shape, layout, where):
        x = x.transpose(0, 3, 1, 2)
    return x


def classes(y: NDArray[Any], count: int, where: str) -> NDArray[Any]:
    """Labels as (N,): int64 class numbers, or strings.

    Args:
        count: of the samples.

    Raises:
        DataError: as many labels as samples are not there, or they are not whole numbers from 0.
    """
    if y.ndim == 2 and y.shape[1] == 1:
        y = y[:, 0]
    if y.ndim != 1:
        one_hot = y.ndim == 2 and len(y) == count
        raise DataError(
            f"Labels are one number or string a sample, (N,), and these are {y.shape}.",
            where=where,
            fix="for one-hot labels: y = y.argmax(1)" if one_hot else "y = y.reshape(-1)",
        )
    if len(y) != count:
        raise DataError(
            f"There are {count} samples and {len(y)} labels.",
            where=where,
            fix="give every sample one label",
        )
    if y.dtype.kind == "S":
        return _decoded(y, where)
    if y.dtype.kind == "U":
        return y
    if y.dtype.kind not in "buif":
        raise DataError(
            f"Labels are whole numbers or strings, and these are {y.dtype}.",
            where=where,
            fix="save y as int64, or as strings",
        )
    return _numbers(y, where)


def named(y: NDArray[Any], labels: Sequence[str], where: str) -> NDArray[np.int64]:
    """String labels (N,) as class numbers in the order of `labels`.

    Raises:
        DataError: a label is not among them.
    """
    number = {label: i for i, label in enumerate(labels)}
    values, inverse = np.unique(y, return_inverse=True)
    unknown = [str(value) for value in values if value not in number]
    if unknown:
        index = int(np.flatnonzero(y == unknown[0])[0])
        raise DataError(
            f"{unknown[0]!r} is not among the labels {some(labels)}.",
            where=f"{where}, sample {index}",
            fix="add it to data.labels, or leave data.labels out",
        )
    return np.array([number[str(value)] for value in values], np.int64)[inverse.reshape(-1)]


def some(names: Sequence[object], most: int = 5) -> str:
    """A list for an error, cut after `most`."""
    shown = ", ".join(str(name) for name in names[:most])
    return shown + (f" and {len(names) - most} more" if len(names) > most else "")


def _last_is_channels(shape: tuple[int, ...], layout: str, where: str) -> bool:
    if layout != "auto":
        return layout == "NHWC"
    first, last = shape[1] in COLOURS, shape[3] in COLOURS
    if first == last:
        why = "two axes could be" if first else "no axis of 1, 3 or 4 can be"
        raise DataError(
            f"It cannot be told where the channels of images {shape} are: {why} theirs.",
            where=where,
            fix="set data.layout to NHWC or NCHW",
        )
    return last


def _compact(x: NDArray[Any], where: str) -> NDArray[Any]:
    image = x.ndim == 4
    if x.dtype.kind in "bui":
        fits = x.dtype.itemsize == 1 and x.dtype.kind in "bu"
        fits = fits or (x.min() >= 0 and x.max() <= 255)
        return x.astype(np.uint8 if image and fits else np.float32, copy=False)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told
        x = x.astype(np.float32, copy=False)
    check_finite(x, where)
    if image and x.min() >= 0 and 1 < x.max() <= 255 and _whole(x):
        return x.astype(np.uint8)
    return x


def _whole(x: NDArray[Any]) -> bool:
    return all(bool((part == np.floor(part)).all()) for part in np.array_split(x, _parts(x)))


def check_finite(x: NDArray[Any], where: str) -> None:
    """Raises a DataError that names the first sample with a value that is not finite."""
    start = 0
    for part in np.array_split(x, _parts(x)):
        good = np.isfinite(part).reshape(len(part), -1).all(1)
        if not good.all():
            index = int((~good).argmax())
            what = "NaN" if np.isnan(part[index]).any() else "an infinite value"
            raise DataError(
                f"A sample holds {what}.",
                where=f"{where}, sample {start + index}",
                fix="keep the others: keep = np.isfinite(x).reshape(len(x), -1).all(1); "
                "x, y = x[keep], y[keep]",
            )
        start += len(part)


def _parts(x: NDArray[Any]) -> int:
    """So many parts that temporary arrays stay below about 64 MB."""
    return min(len(x), 1 + x.nbytes // (64 << 20))


def _decoded(y: NDArray[Any], where: str) -> NDArray[Any]:
    try:
        return np.char.decode(y, "utf-8")
    except UnicodeDecodeError as error:
        raise DataError("A label is not UTF-8 text.", where=where, fix="save y as str") from error


def _numbers(y: NDArray[Any], where: str) -> NDArray[np.int64]:
    problems = (
        ("NaN or infinite", ~np.isfinite(y)),
        ("negative", y < 0),
        (f"above {LONGEST:,}", y > LONGEST),
        ("not a whole number", y != np.floor(y) if y.dtype.kind == "f" else np.zeros(len(y), bool)),
    )
    for problem, wrong in problems:
        if wrong.any():
            index = int(wrong.argmax())
            raise DataError(
                f"Label {y[index]} is {problem}; classes are numbered 0, 1, 2, ...",
                where=f"{where}, sample {index}",
                fix="renumber: names, y = np.unique(y, return_inverse=True)",
            )
    return y.astype(np.int64)
