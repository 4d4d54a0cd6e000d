"""From targets as found to the task and to `Split.y`: one function for every source.

    found = read_targets({"train": y}, counts={"train": len(x)}, where={"train": "file, array y"})
    found.task, found.labels, found.y["train"]

How `auto` tells the task:

- strings, truth values and whole numbers (N,) are classes: `binary` where there are two of them,
  else `classification`. So are floats that take exactly the values 0, 1, ... up to the largest.
- other floats (N,) are a `regression` of one target.
- a matrix (N, L) of 0 and 1 is `multilabel`, unless every row holds exactly one 1: such one-hot
  classes are refused, as either might be meant.
- any other matrix of numbers (N, T) is a `regression` of T targets.

Where whole numbers are only names (`numbers_are_names`: a column of a table), more than 20
different ones are a `regression`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekd.data import checks
from edgekd.errors import DataError
from edgekd.spec import Task

MOST_NAMED = 20
"""Different whole numbers up to which a column of them is taken for classes."""
FEW_VALUES = 20
"""A regression of floats with so few different values may have been meant as classes."""


@dataclass(frozen=True)
class Targets:
    """The targets of all parts, checked."""

    task: Task
    labels: tuple[str, ...]
    """Names of the classes, of the labels or of the targets: one an output."""
    y: dict[str, NDArray[Any]]
    """By part; see `edgekd.data.dataset.Split.y`."""
    notes: tuple[str, ...] = ()
    """What the user should know, a sentence each."""


def read_targets(
    raw: Mapping[str, NDArray[Any]],
    *,
    counts: Mapping[str, int],
    where: Mapping[str, str],
    task: Task | Literal["auto"] = "auto",
    labels: Sequence[str] | None = None,
    columns: Sequence[str] | None = None,
    numbers_are_names: bool = False,
) -> Targets:
    """Checks the targets of every part and gives them the form of their task.

    Args:
        raw: by part ("train" at least): (N,) or (N, 1) strings or numbers, or (N, L) numbers.
        counts: samples of each part.
        where: the place of each part's targets, for errors.
        labels: names that the user gave to the classes (in their order; of a binary task the second
            is the positive one), to the labels or to the targets.
        columns: what labels or targets are called if the user did not say; numbers if left out.
        numbers_are_names: whole numbers name classes and do not count them: 3, 5 and 9 are three
            classes "3", "5" and "9", and not ten.

    Raises:
        DataError: the targets cannot be of this task, or `auto` cannot tell it.
    """
    raw = {part: _plain(np.asarray(y)) for part, y in raw.items()}
    told = _infer(raw, where, numbers_are_names) if task == "auto" else task
    if labels is not None and len(set(labels)) != len(labels):
        raise DataError("A label stands twice.", where="data.labels", fix="name each one once")
    if told in ("multilabel", "regression"):
        check = _multilabel if told == "multilabel" else _numbers
        y = {part: check(values, counts[part], where[part]) for part, values in raw.items()}
        names = _names(y, labels, columns, where, told)
        notes = _doubts(raw, told) if task == "auto" else ()
        return Targets(told, names, y, notes)
    if numbers_are_names:
        raw = _as_strings(raw)
    checked = {part: checks.classes(y, counts[part], where[part]) for part, y in raw.items()}
    given = tuple(labels) if labels is not None else None
    if given is None and numbers_are_names:
        given = _sorted_names(checked)
    found, numbers = number_classes(checked, given, where)
    if told == "binary" and len(found) != 2:
        raise DataError(
            f"A binary task has two classes, and here are {len(found)}: {checks.some(found)}.",
            where=where["train"],
            fix="set data.task: classification",
        )
    if task == "auto" and len(found) == 2:
        told = "binary"
    return Targets(told, found, numbers)


def number_classes(
    y: Mapping[str, NDArray[Any]], labels: tuple[str, ...] | None, where: Mapping[str, str]
) -> tuple[tuple[str, ...], dict[str, NDArray[np.int64]]]:
    """Names of the classes, and every part's labels (N,) as numbers into them.

    Raises:
        DataError: parts mix numbers and strings, there are not two classes, or a label has no name.
    """
    strings = {part: values.dtype.kind == "U" for part, values in y.items()}
    if len(set(strings.values())) > 1:
        raise DataError(
            "Some labels are numbers and others are strings.",
            where="; ".join(where.values()),
            fix="save all of them the same way",
        )
    if labels is None:
        everything = np.unique(np.concatenate([np.unique(values) for values in y.values()]))
        is_number = everything.dtype.kind != "U"
        names = range(int(everything.max()) + 1) if is_number else everything
        labels = tuple(str(name) for name in names)
    if len(labels) < 2:
        raise DataError(
            f"There is one class only, {labels[0]!r}." if labels else "There are no classes.",
            where=where["train"],
            fix="a classifier needs samples of at least two classes",
        )
    if strings["train"]:
        return labels, {part: checks.named(y[part], labels, where[part]) for part in y}
    for part, values in y.items():
        if values.max() >= len(labels):
            index = int((values >= len(labels)).argmax())
            raise DataError(
                f"Label {values[index]} has no name: there are {len(labels)} labels, for 0 to "
                f"{len(labels) - 1}.",
                where=f"{where[part]}, sample {index}",
                fix="add its name to data.labels, or leave data.labels out",
            )
    return labels, dict(y)


def statistics(y: NDArray[Any], labels: Sequence[str], name: str) -> tuple[NDArray, NDArray]:
    """Mean and population deviation (T,), float64, of a regression's training targets (N, T).

    Raises:
        DataError: a target is the same for all samples.
    """
    values = np.asarray(y, np.float64)
    mean, std = values.mean(0), values.std(0)
    constant = np.flatnonzero(std <= 1e-12 * np.maximum(np.abs(mean), 1e-30))
    if len(constant):
        which = int(constant[0])
        raise DataError(
            f"The target {labels[which]!r} is {values[0, which]:g} for every training sample.",
            where=name,
            fix="leave it out: there is nothing to learn about it",
        )
    return mean, std


def _plain(y: NDArray[Any]) -> NDArray[Any]:
    return y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y


def _infer(raw: Mapping[str, NDArray[Any]], where: Mapping[str, str], names: bool) -> Task:
    """The task by the rules above; two classes are told apart later."""
    train = raw["train"]
    if any(y.dtype.kind not in "buif" for y in raw.values()) or train.ndim not in (1, 2):
        return "classification"
    if train.ndim == 1:
        return "classification" if _are_classes(list(raw.values()), names) else "regression"
    if not all(y.ndim == 2 and _zeros_and_ones(y) for y in raw.values()):
        return "regression"
    if all((y.sum(1) == 1).all() for y in raw.values()):
        raise DataError(
            "Are these one-hot classes, or labels of which several might apply: these are "
            f"{train.shape} zeros and ones with a single 1 a row.",
            where=where["train"],
            fix="for one-hot classes: y = y.argmax(1); else set data.task: multilabel",
        )
    return "multilabel"


def _are_classes(parts: list[NDArray[Any]], names: bool) -> bool:
    values = np.unique(np.concatenate([np.unique(y) for y in parts]))
    if values.dtype.kind in "bui":
        return not names or len(values) <= MOST_NAMED
    if not np.isfinite(values).all() or (values != np.floor(values)).any():
        return False
    return len(values) <= MOST_NAMED if names else np.array_equal(values, np.arange(len(values)))


def _zeros_and_ones(y: NDArray[Any]) -> bool:
    return bool(((y == 0) | (y == 1)).all())


def _check_count(y: NDArray[Any], count: int, where: str) -> None:
    if len(y) != count:
        raise DataError(
            f"There are {count} samples and {len(y)} labels.",
            where=where,
            fix="give every sample its targets",
        )


def _multilabel(y: NDArray[Any], count: int, where: str) -> NDArray[np.float32]:
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or y.dtype.kind not in "buif" or 0 in y.shape:
        raise DataError(
            f"Several labels are zeros and ones (N, L), and these are {y.shape} {y.dtype}.",
            where=where,
            fix="save y with one column a label",
        )
    _check_count(y, count, where)
    wrong = ~((y == 0) | (y == 1))
    if wrong.any():
        row, column = (int(i) for i in np.argwhere(wrong)[0])
        raise DataError(
            f"Label {y[row, column]} is neither 0 nor 1.",
            where=f"{where}, sample {row}, column {column}",
            fix="1 where the label applies, 0 where it does not; numbers are data.task: regression",
        )
    return np.ascontiguousarray(y, np.float32)


def _numbers(y: NDArray[Any], count: int, where: str) -> NDArray[np.float32]:
    y = y[:, None] if y.ndim == 1 else y
    if y.ndim != 2 or y.dtype.kind not in "buif" or 0 in y.shape:
        raise DataError(
            f"Targets of a regression are numbers (N,) or (N, T), and these are {y.shape} "
            f"{y.dtype}.",
            where=where,
            fix="save y as float32, one column a target",
        )
    _check_count(y, count, where)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told
        values = np.ascontiguousarray(y, np.float32)
    bad = ~np.isfinite(values)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise DataError(
            f"Target {y[row, column]} is NaN or infinite.",
            where=f"{where}, sample {row}, column {column}",
            fix="keep the others: keep = np.isfinite(y).reshape(len(y), -1).all(1); "
            "x, y = x[keep], y[keep]",
        )
    return values


def _names(
    y: Mapping[str, NDArray[Any]],
    labels: Sequence[str] | None,
    columns: Sequence[str] | None,
    where: Mapping[str, str],
    task: Task,
) -> tuple[str, ...]:
    widths = {part: values.shape[1] for part, values in y.items()}
    width = widths["train"]
    for part, other in widths.items():
        if other != width:
            raise DataError(
                f"The {part} targets have {other} columns, and the training targets {width}.",
                where=where[part],
                fix="give every part the same columns",
            )
    if labels is not None and len(labels) != width:
        raise DataError(
            f"There are {len(labels)} labels for {width} columns of targets.",
            where=f"data.labels; {where['train']}",
            fix="name each column once, in their order",
        )
    if labels is not None or columns is not None:
        return tuple(labels or columns or ())
    if task == "regression" and width == 1:
        return ("target",)
    return tuple(str(column) for column in range(width))


def _doubts(raw: Mapping[str, NDArray[Any]], task: Task) -> tuple[str, ...]:
    train = raw["train"]
    values = len(np.unique(train)) if train.ndim == 1 else FEW_VALUES + 1
    if task != "regression" or values > FEW_VALUES:
        return ()
    return (
        f"the targets are floats of {values} different values and are taken as a regression; "
        "data.task: classification, with whole numbers from 0, says otherwise",
    )


def _as_strings(raw: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Numbers as the names that they stand for: 3.0 and 3 are both "3"."""

    def named(y: NDArray[Any]) -> NDArray[Any]:
        if y.dtype.kind not in "buif" or y.ndim != 1 or not np.isfinite(y).all():
            return y
        whole = y.dtype.kind != "f" or (y == np.floor(y)).all()
        return (y.astype(np.int64) if whole else y).astype(str)

    return {part: named(y) for part, y in raw.items()}


def _sorted_names(y: Mapping[str, NDArray[Any]]) -> tuple[str, ...] | None:
    """Names in ascending order, numbers by their value."""
    if any(values.dtype.kind != "U" for values in y.values()):
        return None
    names = {str(name) for values in y.values() for name in np.unique(values)}
    try:
        return tuple(sorted(names, key=float))
    except ValueError:
        return tuple(sorted(names))
