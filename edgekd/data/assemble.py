"""From checked arrays to a `Dataset`: statistics, fingerprint, and what is worth a warning."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.dataset import Dataset, Split, fingerprint
from edgekd.data.targets import statistics
from edgekd.inputs import arguments
from edgekd.spec import Inputs, InputSpec, SoundSpec, Task

LEAST_STD = 1e-6
"""A feature that varies less is constant, and is divided by 1."""
IMBALANCE = 20
"""Warn when the largest class has more than this many times the smallest's samples."""
CHUNK_BYTES = 64 << 20
NOTHING = np.zeros(0)
"""Mean and deviation of targets that have none."""


def assemble(
    name: str,
    splits: Mapping[str, Split],
    labels: tuple[str, ...],
    notes: tuple[str, ...] = (),
    sound: SoundSpec | None = None,
    task: Task | None = None,
    spec: Inputs | None = None,
    unlabelled: NDArray[Any] | None = None,
    unlabelled_ids: NDArray[Any] | None = None,
) -> Dataset:
    """The data set of checked splits.

    Args:
        splits: "train", "validation" and "test"; samples of one shape, classes below len(labels).
        notes: warnings that are known already.
        sound: how the samples were made, if they are features of recordings.
        task: what the targets are; left out, classes: a binary task where there are two.
        spec: the inputs, where they are known already, such as those of a table.
        unlabelled: samples (M, *shape) of the training samples' type, without labels.
        unlabelled_ids: their names.

    Raises:
        DataError: a regression's target is the same for all training samples.
    """
    task = task or ("binary" if len(labels) == 2 else "classification")
    train = splits["train"].y
    mean, std = statistics(train, labels, name) if task == "regression" else (NOTHING, NOTHING)
    warnings = (*notes, *_duplicates(splits), *_imbalance(splits["train"], labels, task))
    return Dataset(
        name=name,
        train=splits["train"],
        validation=splits["validation"],
        test=splits["test"],
        spec=spec or input_spec(splits["train"].x, sound),
        labels=labels,
        fingerprint=_fingerprint(splits, labels, unlabelled),
        warnings=(*warnings, *_scales(splits), *_unseen(splits, labels, task)),
        task=task,
        target_mean=tuple(mean.tolist()),
        target_std=tuple(std.tolist()),
        unlabelled=unlabelled,
        unlabelled_ids=unlabelled_ids,
    )


def _fingerprint(
    splits: Mapping[str, Split], labels: tuple[str, ...], unlabelled: NDArray[Any] | None
) -> str:
    """With the samples that have no labels, where there are some."""
    if unlabelled is None:
        return fingerprint(splits, labels)
    nothing = Split(unlabelled, np.zeros(0, np.int64))
    return fingerprint({**splits, "unlabelled": nothing}, labels)


def input_spec(x: NDArray[Any], sound: SoundSpec | None = None) -> InputSpec:
    """The input of training samples (N, *shape): mean and deviation per channel or feature."""
    image = x.ndim == 4 and sound is None
    mean, std = channel_statistics(x)
    return InputSpec(
        kind="audio" if sound else "image" if image else "row",
        shape=x.shape[1:],
        mean=tuple(mean.tolist()),
        std=tuple(std.tolist()),
        peak=peak(x) if image else None,
        sound=sound,
    )


def channel_statistics(x: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean and population deviation over all axes but the second, in two passes in float64.

    A deviation below 1e-6 becomes 1: a constant feature says nothing, and must not blow up.
    """
    axes = (0, *range(2, x.ndim))
    count = x.size // x.shape[1]
    mean = sum(part.sum(axes, dtype=np.float64) for part in _chunks(x)) / count
    shape = (1, -1) + (1,) * (x.ndim - 2)
    squares = sum(
        np.square(part.astype(np.float64) - np.reshape(mean, shape)).sum(axes)
        for part in _chunks(x)
    )
    std = np.sqrt(squares / count)
    return np.asarray(mean), np.where(std < LEAST_STD, 1.0, std)


def peak(x: NDArray[Any]) -> float | None:
    """The largest value that a pixel may have, told from the values that it has.

    Up to 1 the peak is 1. Whole numbers up to 16 (such as the digits) have their largest as the
    peak; up to 255 it is 255. Above that it is the largest value. Of images with negative values,
    or with fractions that end below 128, somebody changed the scale, and no peak is known.
    """
    low, high = float(x.min()), float(x.max())
    if low < 0:
        return None
    if high <= 1:
        return 1.0
    if x.dtype == np.uint8 and high <= 16:
        return high
    if x.dtype != np.uint8 and high < 128:
        return None
    return max(255.0, high)


def _chunks(x: NDArray[Any]) -> Iterator[NDArray[Any]]:
    rows = max(1, CHUNK_BYTES // (8 * max(1, x[0].size)))
    return (x[start : start + rows] for start in range(0, len(x), rows))


def _content(split: Split) -> NDArray[np.uint64]:
    """(N,), 64 bits that tell each sample's content. Of a million samples against a million, two
    different ones are taken for the same with a chance below 1 in 10 million; an object for each
    would take hundreds of megabytes.
    """
    arrays = [np.asarray(part) for part in arguments(split.x)]
    found = np.empty(len(split), np.uint64)
    for row in range(len(split)):
        digest = hashlib.blake2b(digest_size=8)
        for array in arrays:
            digest.update(np.ascontiguousarray(array[row]).data)
        found[row] = int.from_bytes(digest.digest(), "little")
    return found


def _duplicates(splits: Mapping[str, Split]) -> Iterator[str]:
    contents = {name: _content(split) for name, split in splits.items()}
    for first, second in (("train", "test"), ("train", "validation"), ("validation", "test")):
        count = int(np.isin(contents[second], contents[first]).sum())
        if count:
            yield (
                f"{count} of {len(contents[second])} {second} samples also stand in the {first} "
                f"split, so the {second} score may be too good"
            )


def _imbalance(train: Split, labels: tuple[str, ...], task: Task) -> Iterator[str]:
    if task == "regression":
        return
    if task == "multilabel":
        yield from _rare_labels(train, labels)
        return
    counts = np.bincount(train.y, minlength=len(labels))
    least, most = int(counts.argmin()), int(counts.argmax())
    if counts[most] > IMBALANCE * counts[least]:
        yield (
            f"the classes are out of balance: {counts[most]} training samples of "
            f"{labels[most]!r}, {counts[least]} of {labels[least]!r}"
        )


def _rare_labels(train: Split, labels: tuple[str, ...]) -> Iterator[str]:
    """Labels that hardly ever apply, or hardly ever do not: nothing can be learnt about them."""
    counts = np.asarray(train.y).sum(0).astype(int)
    n = len(train)
    for label, count in zip(labels, counts.tolist(), strict=True):
        if count in (0, n):
            share = "no training sample has" if count == 0 else "every training sample has"
            yield f"{share} the label {label!r}, so nothing is learnt about it"
    few = [
        f"{label!r} ({count})"
        for label, count in zip(labels, counts.tolist(), strict=True)
        if 0 < min(count, n - count) < n / (1 + IMBALANCE)
    ]
    if few:
        shown = ", ".join(few[:5]) + (" ..." if len(few) > 5 else "")
        yield f"the labels are out of balance: of {n} training samples have {shown}"


def _scales(splits: Mapping[str, Split]) -> Iterator[str]:
    if isinstance(splits["train"].x, dict):
        return
    largest = {
        name: max(abs(float(split.x.min())), abs(float(split.x.max())))
        for name, split in splits.items()
    }
    for name in ("validation", "test"):
        low, high = sorted((largest["train"], largest[name]))
        if splits["train"].x.ndim == 4 and high > 10 * low:
            yield (
                f"the largest value of the training images is {largest['train']:g}, and of the "
                f"{name} images {largest[name]:g}: one of them may be scaled differently"
            )


def _unseen(splits: Mapping[str, Split], labels: tuple[str, ...], task: Task) -> Iterator[str]:
    if task == "regression":
        yield from _outside(splits, labels)
        return
    for name in ("validation", "test"):
        y = np.asarray(splits[name].y)
        counts = y.sum(0) if task == "multilabel" else np.bincount(y, minlength=len(labels))
        absent = [repr(label) for label, count in zip(labels, counts, strict=True) if not count]
        if absent:
            shown = ", ".join(absent[:5]) + (" ..." if len(absent) > 5 else "")
            yield f"the {name} split has no sample of {shown}, so its score says nothing of it"


def _outside(splits: Mapping[str, Split], labels: tuple[str, ...]) -> Iterator[str]:
    """Targets whose spread in a split is not at all that of the training split."""
    train = np.asarray(splits["train"].y, np.float64).std(0)
    for name in ("validation", "test"):
        here = np.asarray(splits[name].y, np.float64).std(0)
        for label, spread, wanted in zip(labels, here.tolist(), train.tolist(), strict=True):
            if spread == 0:
                yield (
                    f"the target {label!r} is the same for every {name} sample, so there is no R² "
                    "of it"
                )
            elif not 0.1 * wanted < spread < 10 * wanted:
                yield (
                    f"the target {label!r} has a deviation of {wanted:.3g} in the training split "
                    f"and of {spread:.3g} in the {name} split: one may be scaled differently"
                )
