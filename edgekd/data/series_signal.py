"""A signal over time, and windows of it: the same in training and for new files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.assemble import channel_statistics
from edgekd.data.table_file import Table, numbers
from edgekd.errors import DataError
from edgekd.spec import InputSpec, Task


@dataclass(frozen=True)
class Signal:
    """Channels over time, with a target at each step."""

    name: str
    where: str
    """The file, for errors."""
    channels: tuple[str, ...]
    values: NDArray[np.float32]
    """(S, C): S steps in the order of time."""
    targets: NDArray[Any]
    """(S, L), text or numbers: the columns that are to be told."""
    groups: NDArray[Any] | None = None
    """(S,): which machine, person or recording each step is of."""

    def __len__(self) -> int:
        return len(self.values)


def series_spec(x: NDArray[np.float32], channels: tuple[str, ...] = ()) -> InputSpec:
    """The input of training windows (N, C, T): mean and deviation per channel."""
    mean, std = channel_statistics(x)
    return InputSpec(
        kind="series",
        shape=x.shape[1:],
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        columns=channels,
    )


def channel_values(table: Table, channels: Sequence[str]) -> NDArray[np.float32]:
    """The values (S, C) of channels, all there and finite.

    Raises:
        DataError: a column is missing, or a value is missing or no number; names line and column.
    """
    found = np.empty((len(table), len(channels)), np.float32)
    for place, name in enumerate(channels):
        texts = table.column(name)
        with np.errstate(over="ignore"):
            found[:, place] = numbers(texts)
        wrong = ~np.isfinite(found[:, place])
        if wrong.any():
            row = int(wrong.argmax())
            text = str(texts[row])
            raise DataError(
                f"{text!r} is no number that a channel can have."
                if text
                else f"Channel {name!r} has no value at a step.",
                where=table.place(row, name),
                fix="fill the gap in, for example with numpy.interp, or remove what is before it"
                if not text
                else "correct it; a column that is no channel, such as a time, is named in "
                "data.drop",
            )
    return found


def starts_of(alike: NDArray[np.int64], window: int, stride: int) -> NDArray[np.int64]:
    """Where windows start that lie whole within a run of equal numbers.

    Each run has its own windows from its first step on; steps at its end that do not fill one are
    left out.

    Args:
        alike: (S,): steps that may stand in one window follow one another with the same number.
    """
    if not len(alike):
        return np.zeros(0, np.int64)
    edges = np.flatnonzero(np.diff(alike)) + 1
    firsts, ends = np.r_[0, edges], np.r_[edges, len(alike)]
    runs = [
        np.arange(first, end - window + 1, stride)
        for first, end in zip(firsts, ends, strict=True)
        if end - first >= window
    ]
    return np.concatenate(runs) if runs else np.zeros(0, np.int64)


def cut(values: NDArray[Any], starts: NDArray[np.int64], window: int) -> NDArray[Any]:
    """The windows (N, ..., window) of `values` (S, ...) that begin at `starts` (N,)."""
    views = np.lib.stride_tricks.sliding_window_view(values, window, axis=0)
    return np.ascontiguousarray(views[starts])


def windows_targets(
    y: NDArray[Any], starts: NDArray[np.int64], window: int, task: Task
) -> NDArray[Any]:
    """A target a window, from those of the steps (S,) or (S, L): what most have, of equals the
    latest; of a regression, the mean.
    """
    steps = cut(y, starts, window)
    if task == "regression":
        return steps.mean(-1, dtype=np.float64).astype(np.float32)
    if task == "multilabel":
        share = steps.mean(-1)
        return np.where(share == 0.5, steps[..., -1], share > 0.5).astype(np.float32)
    classes = range(int(y.max()) + 1)
    counts = np.stack([(steps == one).sum(-1) for one in classes], -1)
    most = counts == counts.max(-1, keepdims=True)
    candidates = np.take_along_axis(most, steps, -1)
    last = window - 1 - candidates[:, ::-1].argmax(-1)
    return np.take_along_axis(steps, last[:, None], -1)[:, 0]


def whole_windows(table: Table, channels: Sequence[str], window: int) -> NDArray[np.float32]:
    """The windows (N, C, window) of a new recording, one after the other without overlap.

    Raises:
        DataError: a channel is missing or has a gap, or there are fewer steps than a window has.
    """
    values = channel_values(table, channels)
    starts = starts_of(np.zeros(len(values), np.int64), window, window)
    if not len(starts):
        raise DataError(
            f"The model looks at {window} steps at once, and here are {len(values)}.",
            where=table.where,
            fix="give a longer recording",
        )
    return cut(values, starts, window)
