"""Arrays of samples and targets, found, checked, numbered and split: whatever they came from."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import Arrays
from edgekd.data import checks
from edgekd.data.assemble import assemble
from edgekd.data.dataset import Dataset, Split
from edgekd.data.splits import split_off
from edgekd.data.targets import Targets, read_targets
from edgekd.errors import DataError

UNLABELLED = "x_unlabelled"
SUFFIXES = {"train": "_train", "validation": "_val", "test": "_test"}
NAMES = "name the arrays x and y, or x_train, y_train, x_test, y_test and, if any, x_val, y_val"


def from_arrays(
    raw: Mapping[str, NDArray[Any]], settings: Arrays, name: str, place: str
) -> Dataset:
    """The data set of named arrays.

    Args:
        raw: x and y, or x_train and y_train and perhaps those of other parts.
        name: of the data set.
        place: what they came from, such as the file; for errors.

    Raises:
        DataError: an array cannot be used; says which array and sample, and what to do.
    """
    arrays = find_arrays(raw, place)
    found = {part: (raw[x], raw[y]) for part, (x, y) in arrays.items()}
    where = {part: f"{place}, array {y}" for part, (_, y) in arrays.items()}
    x = {
        part: checks.samples(pair[0], settings.layout, f"{place}, array {arrays[part][0]}")
        for part, pair in found.items()
    }
    check_shapes(x, arrays, place)
    targets = read_targets(
        {part: pair[1] for part, pair in found.items()},
        counts={part: len(samples) for part, samples in x.items()},
        where=where,
        task=settings.task,
        labels=settings.labels,
    )
    unlabelled = _unlabelled(raw, settings, x["train"], place)
    splits = {
        part: Split(x[part], targets.y[part], np.arange(len(x[part])).astype(np.str_))
        for part in found
    }
    if targets.task in ("classification", "binary"):
        check_every_class(splits, targets.labels, where)
    parts = complete(splits, settings, targets, where["train"])
    if unlabelled is not None and unlabelled.dtype != parts["train"].x.dtype:
        parts = _as_float(parts)
        unlabelled = unlabelled.astype(np.float32, copy=False)
    return assemble(
        name,
        parts,
        targets.labels,
        notes=targets.notes,
        task=targets.task,
        unlabelled=unlabelled,
        unlabelled_ids=None if unlabelled is None else _named(unlabelled),
    )


def _unlabelled(
    raw: Mapping[str, NDArray[Any]], settings: Arrays, train: NDArray[Any], place: str
) -> NDArray[Any] | None:
    """The samples without labels, if there are any.

    Raises:
        DataError: they are not of the training samples' shape.
    """
    if UNLABELLED not in raw:
        return None
    where = f"{place}, array {UNLABELLED}"
    found = checks.samples(raw[UNLABELLED], settings.layout, where)
    if found.shape[1:] != train.shape[1:]:
        raise DataError(
            f"Samples without labels are {found.shape[1:]}, and the others {train.shape[1:]} "
            "(channels first).",
            where=where,
            fix="give every part samples of one shape",
        )
    return found


def _named(x: NDArray[Any]) -> NDArray[np.str_]:
    """Names of samples without labels, apart from the positions of those with labels."""
    return np.array([f"{UNLABELLED}/{i}" for i in range(len(x))])


def find_arrays(known: Collection[str], where: str) -> dict[str, tuple[str, str]]:
    """Names of the arrays of samples and of labels, for each part that there is.

    Args:
        known: names of all arrays.
        where: the file, for errors.

    Raises:
        DataError: the training samples or the labels of a part are missing, or given twice.
    """
    has = f"it has {checks.some(sorted(known), 12) or 'no array'}"
    if "x_train" in known and "x" in known:
        raise DataError(
            "Both x and x_train are training samples.", where=f"{where}: {has}", fix="remove one"
        )
    plain = not {"x_train", "y_train"} & set(known)
    suffixes = SUFFIXES | ({"train": ""} if plain else {})
    found = {}
    for part, suffix in suffixes.items():
        x, y = f"x{suffix}", f"y{suffix}"
        present = [name for name in (x, y) if name in known]
        if len(present) == 1 or (part == "train" and not present):
            missing = x if x not in known else y
            raise DataError(f"Array {missing} is missing.", where=f"{where}: {has}", fix=NAMES)
        if present:
            found[part] = (x, y)
    return found


def check_shapes(
    x: Mapping[str, NDArray], arrays: Mapping[str, tuple[str, str]], place: str
) -> None:
    """Raises a DataError where the samples of two parts differ in shape."""
    expected = x["train"].shape[1:]
    for part, samples in x.items():
        if samples.shape[1:] != expected:
            raise DataError(
                f"Samples of {arrays[part][0]} are {samples.shape[1:]}, and those of "
                f"{arrays['train'][0]} are {expected} (channels first).",
                where=place,
                fix="give every part samples of one shape",
            )


def check_every_class(
    splits: Mapping[str, Split], labels: tuple[str, ...], where: Mapping[str, str]
) -> None:
    """Raises a DataError where a class has no training sample."""
    counts = np.bincount(splits["train"].y, minlength=len(labels))
    empty = [repr(labels[i]) for i in np.flatnonzero(counts == 0)]
    if empty:
        raise DataError(
            f"No training sample is of class {checks.some(empty)}.",
            where=where["train"],
            fix="add samples of it, or renumber: names, y = np.unique(y, return_inverse=True)",
        )


def complete(
    splits: Mapping[str, Split], settings: Arrays, targets: Targets, where: str
) -> dict[str, Split]:
    """Splits the missing parts off the training samples, and gives all parts one type.

    Raises:
        DataError: there are too few samples.
    """
    parts = dict(splits)
    for part, share in (("test", settings.test), ("validation", settings.validation)):
        if part not in parts:
            parts["train"], parts[part] = split_off(
                parts["train"],
                share,
                settings.split_seed,
                targets.labels,
                what=part,
                where=where,
                task=targets.task,
            )
    types = {split.x.dtype for split in parts.values()}
    return _as_float(parts) if len(types) > 1 else parts


def _as_float(parts: Mapping[str, Split]) -> dict[str, Split]:
    return {
        part: replace(split, x=split.x.astype(np.float32, copy=False))
        for part, split in parts.items()
    }
