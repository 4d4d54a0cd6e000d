"""Windows that are cut already: the arrays of an .npz file."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import SeriesData
from edgekd.data.arrays import SUFFIXES, check_every_class, check_shapes, find_arrays
from edgekd.data.assemble import assemble
from edgekd.data.checks import check_finite
from edgekd.data.dataset import Dataset, Split
from edgekd.data.npz_file import read_arrays, read_headers
from edgekd.data.series_signal import series_spec
from edgekd.data.splits import split_off, take_groups
from edgekd.data.targets import Targets, read_targets
from edgekd.errors import DataError

OVERLAP = (
    "neighbouring windows share steps, so that a split at random tests on what was trained on and "
    "the scores are too good: name an array of groups in data.group, or give every part its arrays"
)
LOOKED_AT = 200
"""Neighbours that are compared; where most overlap, windows were cut with a stride."""


def load(settings: SeriesData, base: Path) -> Dataset:
    """The data set of an .npz file of windows.

    Raises:
        DataError: the file or an array cannot be used; says which array and window, and what to do.
    """
    assert settings.path is not None
    path = settings.location(base, settings.path)
    headers = read_headers(path)
    arrays = find_arrays(headers, str(path))
    names = [name for pair in arrays.values() for name in pair]
    if settings.group is not None:
        if settings.group not in headers:
            raise DataError(
                f"There is no array {settings.group!r} of groups.",
                where=f"{path}: it has {', '.join(sorted(headers)[:12])}",
                fix="name an array (N,), or leave data.group out",
            )
        names.append(settings.group)
    raw = read_arrays(path, names)
    where = {part: f"{path}, array {y}" for part, (_, y) in arrays.items()}
    x = {
        part: windows(raw[name], settings.layout, f"{path}, array {name}")
        for part, (name, _) in arrays.items()
    }
    check_shapes(x, arrays, str(path))
    targets = read_targets(
        {part: raw[y] for part, (_, y) in arrays.items()},
        counts={part: len(samples) for part, samples in x.items()},
        where=where,
        task=settings.task,
        labels=settings.labels,
    )
    splits = {part: Split(x[part], targets.y[part]) for part in arrays}
    splits = _complete(splits, _groups(raw, x, settings, str(path)), settings, targets, str(path))
    if targets.task in ("classification", "binary"):
        check_every_class(splits, targets.labels, where)
    spec = series_spec(splits["train"].x)
    notes = targets.notes
    if settings.group is None and len(arrays) < len(SUFFIXES) and overlapping(x["train"]):
        notes = (*notes, OVERLAP)
    return assemble(path.stem, splits, targets.labels, notes, task=targets.task, spec=spec)


def windows(x: NDArray[Any], layout: str, where: str) -> NDArray[np.float32]:
    """An array of windows as (N, C, T) float32, contiguous.

    Raises:
        DataError: it has no three axes, no numbers, or a value that is not finite.
    """
    if x.dtype.kind not in "buif" or x.ndim != 3 or 0 in x.shape:
        raise DataError(
            f"Windows are numbers (N, C, T) or (N, T, C), and these are {x.shape} {x.dtype}.",
            where=where,
            fix="reshape x: a signal of one channel is x[:, None]",
        )
    with np.errstate(over="ignore"):
        x = x.astype(np.float32, copy=False)
    check_finite(x, where)
    return np.ascontiguousarray(x if layout == "NCT" else x.transpose(0, 2, 1))


def overlapping(x: NDArray[Any]) -> bool:
    """Whether most of the first windows (N, C, T) begin within the one before them, and go on as it
    does. Constant windows do not count.
    """
    found = compared = 0
    for before, after in pairwise(x[: LOOKED_AT + 1]):
        if np.ptp(after, axis=1).max() == 0:
            continue
        compared += 1
        starts = np.flatnonzero((before[:, 1:] == after[:, :1]).all(0)) + 1
        found += any(np.array_equal(before[:, s:], after[:, : -int(s)]) for s in starts)
    return 2 * found > compared > 0


def _groups(
    raw: Mapping[str, NDArray[Any]], x: Mapping[str, NDArray], settings: SeriesData, where: str
) -> NDArray[Any] | None:
    if settings.group is None:
        return None
    groups = raw[settings.group]
    if groups.shape != (len(x["train"]),):
        raise DataError(
            f"Groups are one number or text a training window, ({len(x['train'])},), and these are "
            f"{groups.shape}.",
            where=f"{where}, array {settings.group}",
        )
    return groups


def _complete(
    splits: Mapping[str, Split],
    groups: NDArray[Any] | None,
    settings: SeriesData,
    targets: Targets,
    where: str,
) -> dict[str, Split]:
    """Splits the missing parts off the training windows."""
    parts = dict(splits)
    for part, share in (("test", settings.test), ("validation", settings.validation)):
        if part in parts:
            continue
        train, seed = parts["train"], settings.split_seed
        if groups is None:
            parts["train"], parts[part] = split_off(
                train, share, seed, targets.labels, what=part, where=where, task=targets.task
            )
            continue
        taken = take_groups(groups, share, seed, part, where)
        parts["train"], parts[part] = (
            Split(train.x[kept], train.y[kept]) for kept in (~taken, taken)
        )
        groups = groups[~taken]
    return parts
