"""The `series` source: windows of a signal, from a table over time, from arrays, or made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import SeriesData
from edgekd.data import series_arrays, vibration
from edgekd.data.assemble import assemble
from edgekd.data.cache import files_fingerprint
from edgekd.data.dataset import Dataset, Split
from edgekd.data.series_parts import PARTS, parts_of_steps, runs_of
from edgekd.data.series_signal import (
    Signal,
    channel_values,
    cut,
    series_spec,
    starts_of,
    windows_targets,
)
from edgekd.data.table_file import label_columns, read_table
from edgekd.data.targets import Targets, read_targets
from edgekd.errors import DataError


def load(settings: SeriesData, base: Path) -> Dataset:
    """The data set of a signal's windows, x (N, C, T) float32.

    Raises:
        DataError: the file, a column or a step cannot be used; says where, and what to do.
    """
    if settings.of_windows:
        return series_arrays.load(settings, base)
    signals = _signals(settings, base)
    targets = _targets(signals, settings)
    splits = _splits(signals, targets, settings)
    train = signals["train"]
    spec = series_spec(splits["train"].x, train.channels)
    notes = (*targets.notes, *_clocks(train))
    return assemble(train.name, splits, targets.labels, notes, task=targets.task, spec=spec)


def source_fingerprint(settings: SeriesData, base: Path) -> str:
    """SHA-256 of the files' content, hexadecimal; of a built-in signal, of what makes it.

    Raises:
        DataError: there is no such file.
    """
    if settings.path is None:
        return vibration.source_fingerprint()
    named = [path for path in (settings.path, settings.test_file) if path is not None]
    return files_fingerprint([settings.location(base, path) for path in named])


def _check_every_class(train: NDArray[Any], labels: tuple[str, ...], where: str) -> None:
    """Raises a DataError where a class (of `train`, (N,)) has no training window."""
    counts = np.bincount(train, minlength=len(labels))
    if not counts.all():
        raise DataError(
            f"No training window is of class {labels[int(counts.argmin())]!r}.",
            where=where,
            fix="give more of it, or another data.split_seed, or a smaller data.window",
        )


def _signals(settings: SeriesData, base: Path) -> dict[str, Signal]:
    if settings.path is None:
        return {"train": vibration.signal()}
    signals = {"train": _read(settings.location(base, settings.path), settings, ())}
    if settings.test_file is not None:
        place = settings.location(base, settings.test_file)
        signals["test"] = _read(place, settings, signals["train"].channels)
    return signals


def _read(path: Path, settings: SeriesData, channels: tuple[str, ...]) -> Signal:
    """A table as a signal; `channels` are those of the training file, for a second one."""
    table = read_table(path)
    for name in (*settings.label, *settings.drop):
        table.column(name)
    groups = None if settings.group is None else table.column(settings.group)
    other = {*settings.label, *settings.drop, settings.group}
    channels = channels or settings.channels or tuple(n for n in table.columns if n not in other)
    if not channels:
        raise DataError("No column is left as a channel.", where=table.where)
    if groups is not None and (groups == "").any():
        row = int((groups == "").argmax())
        raise DataError(
            "A step has no group.", where=table.place(row, str(settings.group)), fix="fill it in"
        )
    values = channel_values(table, channels)
    told = label_columns({"": table}, settings.label)[""]
    return Signal(path.stem, table.where, channels, values, told, groups)


def _targets(signals: Mapping[str, Signal], settings: SeriesData) -> Targets:
    """The targets of every step."""
    raw = {part: signal.targets for part, signal in signals.items()}
    if len({targets.dtype.kind in "iuf" for targets in raw.values()}) > 1:
        raw = {part: targets.astype(str) for part, targets in raw.items()}
    label = settings.label or ("state",)
    return read_targets(
        raw,
        counts={part: len(signal) for part, signal in signals.items()},
        where={part: f"{signal.where}, column {label[0]}" for part, signal in signals.items()},
        task=settings.task,
        labels=settings.labels,
        columns=label,
        numbers_are_names=True,
    )


def _splits(
    signals: Mapping[str, Signal], targets: Targets, settings: SeriesData
) -> dict[str, Split]:
    train = signals["train"]
    _check_length(train, settings)
    classes = targets.y["train"] if targets.task in ("classification", "binary") else None
    part = parts_of_steps(train, classes, settings, tested="test" in signals)
    found = {
        name: _windows(train, part, number, targets, "train", settings)
        for number, name in enumerate(PARTS)
        if name not in signals or name == "train"
    }
    if "test" in signals:
        _check_length(signals["test"], settings)
        everything = np.zeros(len(signals["test"]), np.int64)
        found["test"] = _windows(signals["test"], everything, 0, targets, "test", settings)
    for name, split in found.items():
        if not len(split):
            raise DataError(
                f"No window of {settings.window} steps is left for the {name} part.",
                where=f"{train.where}; data.window",
                fix="take a smaller window, give a longer signal, or another data.split_seed",
            )
    if classes is not None:
        _check_every_class(found["train"].y, targets.labels, train.where)
    return found


def _windows(
    signal: Signal,
    part: NDArray[np.int64],
    wanted: int,
    targets: Targets,
    of: str,
    settings: SeriesData,
) -> Split:
    """The windows of one part, and the target of each."""
    starts = starts_of(runs_of(signal, part), settings.window, settings.step)
    starts = starts[part[starts] == wanted]
    x = cut(signal.values, starts, settings.window)
    return Split(x, window_targets(targets.y[of], targets, starts, settings))


def window_targets(
    y: NDArray[Any], targets: Targets, starts: NDArray[np.int64], settings: SeriesData
) -> NDArray[Any]:
    """A target a window, from those of the steps (S,) or (S, L): see `SeriesData.label_of`."""
    if settings.label_of == "last":
        return y[starts + settings.window - 1]
    return windows_targets(y, starts, settings.window, targets.task)


def _check_length(signal: Signal, settings: SeriesData) -> None:
    groups = signal.groups if signal.groups is not None else np.zeros(len(signal), np.int64)
    edges = np.flatnonzero(groups[1:] != groups[:-1]) + 1
    longest = int(np.diff(np.r_[0, edges, len(signal)]).max())
    if longest < settings.window:
        what = "signal has" if signal.groups is None else "longest stretch of one group has"
        raise DataError(
            f"A window of {settings.window} steps is longer than the signal: the {what} {longest}.",
            where=f"{signal.where}; data.window",
            fix=f"set data.window to {max(1, longest // 4)} or less",
        )


def _clocks(signal: Signal) -> Iterator[str]:
    for place, name in enumerate(signal.channels):
        steps = np.diff(signal.values[:, place])
        if len(steps) and (steps >= 0).all() and steps.max() > 0:
            yield (
                f"channel {name!r} never falls, as a clock does: if it is one, add it to data.drop"
            )
