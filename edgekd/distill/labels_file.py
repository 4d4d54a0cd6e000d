"""Soft labels in an .npz file: made elsewhere, or by `edgekd labels` for elsewhere.

    train_logits | train_probabilities | train_values    (N, C), or (K, N, C) of K views
    validation_..., test_...                             (N, C), where they are known
    labels           (C,), names of the classes, labels or targets, in the columns' order
    fingerprint      of the data set whose samples these are, in their order; or
    train_ids        (N,), names of the samples: files' paths, or positions in the source's array
    augment, seed    of the views, where there are several: JSON, and a whole number

`values` are a regression's answers in raw units; its `logits` are standardised.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import Augment
from edgekd.data.dataset import Dataset, Split
from edgekd.data.npz_file import read_arrays, read_headers
from edgekd.errors import DataError, StageError
from edgekd.spec import Task
from edgekd.store import atomic_file
from edgekd.tasks.classes import labels_differ

LEAST = 1e-20
"""A probability of 0 is taken for this: its logarithm has to be finite."""
SUM_TOLERANCE = 1e-2
"""Probabilities may sum up to 1 but for this: half precision and rounded text are allowed for."""
KINDS: dict[Task, tuple[str, ...]] = {
    "classification": ("logits", "probabilities"),
    "binary": ("logits", "probabilities"),
    "multilabel": ("logits", "probabilities"),
    "regression": ("values", "logits"),
}
VIEWS = 3
"""Axes of answers to several views."""


@dataclass(frozen=True)
class Labels:
    """Checked soft labels, as logits in the order of the data's samples and classes."""

    train: NDArray[np.floating]
    """(K, N, C); K is 1 where the answers are to the samples as they are."""
    validation: NDArray[np.floating] | None
    """(N, C)."""
    test: NDArray[np.floating] | None
    notes: tuple[str, ...] = ()
    """What the user should know."""


def read(path: Path, data: Dataset, augment: Augment, seed: int) -> Labels:
    """The soft labels of a file for this data.

    Raises:
        DataError: there is no such file, or it is no whole .npz file.
        StageError: they are not of this data, in number, order, names or views, or are no numbers.
    """
    if not path.is_file():
        raise DataError(
            "There is no such file of soft labels.",
            where=f"teacher.labels: {path}",
            fix="a relative path starts at the pipeline file's folder; `edgekd labels --out` "
            "writes one",
        )
    names = {
        split: name for split in data.splits if (name := _name(path, split, data.task)) is not None
    }
    if "train" not in names:
        kinds = " or ".join(f"train_{kind}" for kind in KINDS[data.task])
        raise StageError(
            "This file has no soft labels of the training samples.",
            where=f"{path} has {', '.join(sorted(read_headers(path))[:12]) or 'no array'}",
            fix=f"name the array {kinds}",
        )
    facts = {"labels", "fingerprint", "augment", "seed", *(f"{split}_ids" for split in names)}
    wanted = [*names.values(), *sorted(facts & set(read_headers(path)))]
    arrays = read_arrays(path, wanted)
    columns = _columns(arrays, data, path)
    splits = {**data.splits, "train": data.taught}
    found: dict[str, NDArray[np.floating]] = {}
    notes: list[str] = []
    for split, name in names.items():
        order = _order(arrays, splits[split], split, data, path)
        answers = _checked(arrays[name], name, splits[split], order, data, path)
        found[split] = _logits(answers[..., columns], name, data, path)
    train = found["train"] if found["train"].ndim == VIEWS else found["train"][None]
    notes += _views(len(train), arrays, augment, seed, path)
    if columns != list(range(data.classes)):
        notes.append("The classes of the file stand in another order, and were brought into ours.")
    return Labels(train, found.get("validation"), found.get("test"), tuple(notes))


def _name(path: Path, split: str, task: Task) -> str | None:
    names = [f"{split}_{kind}" for kind in KINDS[task]]
    found = [name for name in names if name in read_headers(path)]
    if len(found) > 1:
        raise StageError(
            f"Both {found[0]} and {found[1]} are soft labels.", where=str(path), fix="remove one"
        )
    return found[0] if found else None


def _columns(arrays: dict[str, NDArray[Any]], data: Dataset, path: Path) -> list[int]:
    """Where each class of the data stands in the file."""
    if "labels" not in arrays:
        raise StageError(
            "This file does not name its classes.",
            where=str(path),
            fix="add an array `labels` of their names in the columns' order, such as "
            f"{list(data.labels[:4])}",
        )
    theirs = tuple(str(name) for name in arrays["labels"].ravel().tolist())
    if sorted(theirs) != sorted(data.labels):
        raise labels_differ(theirs, data.labels, str(path))
    return [theirs.index(name) for name in data.labels]


def _order(
    arrays: dict[str, NDArray[Any]], split: Split, name: str, data: Dataset, path: Path
) -> NDArray[np.int64] | None:
    """Where each sample of the split stands in the file; None where the order is the same."""
    ids = arrays.get(f"{name}_ids")
    if ids is not None:
        return _by_ids([str(i) for i in ids.ravel().tolist()], split, name, path)
    if "fingerprint" not in arrays:
        raise StageError(
            "Nothing in this file says whose soft labels these are.",
            where=str(path),
            fix=f"add `{name}_ids`, the samples' names ({_example(split)}), or `fingerprint`, the "
            f"one in dataset.json of the data's artefact, if they are in its order: "
            f"{data.fingerprint}",
        )
    theirs = str(arrays["fingerprint"].item())
    if theirs != data.fingerprint:
        raise StageError(
            "These soft labels were made for other data.",
            where=f"{path}: fingerprint {theirs[:12]}..., and the data's is "
            f"{data.fingerprint[:12]}...",
            fix="make them again for this data, or give the data that they were made for",
        )
    return None


def _by_ids(theirs: list[str], split: Split, name: str, path: Path) -> NDArray[np.int64]:
    if split.ids is None:
        raise StageError(
            "The samples of this source have no names to find soft labels by.",
            where=f"{path}: {name}_ids",
            fix="give `fingerprint` instead",
        )
    place = {sample: i for i, sample in enumerate(theirs)}
    if len(place) < len(theirs):
        twice = next(sample for i, sample in enumerate(theirs) if place[sample] != i)
        raise StageError("A sample has two soft labels.", where=f"{path}, {name}_ids: {twice}")
    ours = [str(i) for i in split.ids.tolist()]
    missing = [sample for sample in ours if sample not in place]
    if missing:
        raise StageError(
            f"{len(missing)} of {len(ours)} {name} samples have no soft label.",
            where=f"{path}, {name}_ids lacks {', '.join(missing[:3])}; it has {theirs[0]}",
            fix=f"the samples' names are such as {_example(split)}",
        )
    return np.array([place[sample] for sample in ours], np.int64)


def _example(split: Split) -> str:
    return repr(str(split.ids[0])) if split.ids is not None else "this source has none"


def _checked(
    answers: NDArray[Any],
    name: str,
    split: Split,
    order: NDArray[np.int64] | None,
    data: Dataset,
    path: Path,
) -> NDArray[np.floating]:
    """Finite numbers, as many as samples and classes, in the samples' order."""
    where = f"{path}, array {name}"
    one_column = (
        answers.ndim == 1 and data.classes == 1  # a regression of one target, given flat
    )
    answers = answers[:, None] if one_column else answers
    several = name.startswith("train_") and answers.ndim == VIEWS
    if answers.dtype.kind not in "fiu" or (answers.ndim != 2 and not several):
        raise StageError(
            f"Soft labels are numbers (samples, classes), and these are {answers.dtype} "
            f"{answers.shape}.",
            where=where,
        )
    if answers.shape[-1] != data.classes:
        raise StageError(
            f"These soft labels have {answers.shape[-1]} columns, and the data {data.classes} "
            "outputs.",
            where=where,
            fix=f"one column each of {', '.join(data.labels[:6])}",
        )
    if order is None and answers.shape[-2] != len(split):
        raise StageError(
            f"There are {answers.shape[-2]} soft labels, and {len(split)} samples.",
            where=where,
            fix="give one for each sample of this part, in its order",
        )
    if order is not None and answers.shape[-2] <= order.max():
        raise StageError("There are fewer soft labels than samples' names.", where=where)
    answers = answers if order is None else answers[..., order, :]
    finite = np.isfinite(answers)
    if not finite.all():
        bad = np.argwhere(~finite)[0]
        raise StageError(
            f"A soft label is {answers[tuple(bad)]}.",
            where=f"{where}, sample {int(bad[-2])}, class {data.labels[int(bad[-1])]}",
            fix="leave no sample without an answer: make its soft label again",
        )
    return answers


def _logits(
    answers: NDArray[np.floating], name: str, data: Dataset, path: Path
) -> NDArray[np.floating]:
    """What the task's network would answer."""
    if name.endswith("_logits"):
        return answers
    if name.endswith("_values"):
        mean, std = np.asarray(data.target_mean), np.asarray(data.target_std)
        return (answers.astype(np.float64) - mean) / std
    p = answers.astype(np.float64)
    low, high = float(p.min()), float(p.max())
    sums = p.sum(-1) if data.task != "multilabel" else np.ones(1)
    if low < 0 or high > 1 + SUM_TOLERANCE or np.abs(sums - 1).max() > SUM_TOLERANCE:
        bad = int(np.abs(sums - 1).reshape(-1, sums.shape[-1]).max(0).argmax())
        raise StageError(
            f"These are no probabilities: they go from {low:g} to {high:g}, and those of sample "
            f"{bad} sum up to {sums.reshape(-1, sums.shape[-1])[0, bad]:.4g}.",
            where=f"{path}, array {name}",
            fix=f"call logits {name.replace('probabilities', 'logits')}",
        )
    p = np.maximum(p, LEAST)
    if data.task == "multilabel":
        return np.log(p) - np.log(np.maximum(1 - p, LEAST))
    return np.log(p)


def _views(
    count: int, arrays: dict[str, NDArray[Any]], augment: Augment, seed: int, path: Path
) -> list[str]:
    """Whether the answers are to the views that the student will see; what is to be told."""
    if "augment" in arrays and "seed" in arrays:
        theirs = Augment.model_validate_json(str(arrays["augment"].item()))
        same = (theirs, int(arrays["seed"].item())) == (augment, seed) or not (
            theirs.active or augment.active
        )
        if same and count == augment.view_count:
            return []
        if theirs.active or count > 1:
            raise StageError(
                "These soft labels are answers to other variations of the samples.",
                where=f"{path}: seed {int(arrays['seed'].item())}, {count} views; the pipeline has "
                f"seed {seed}, {augment.view_count} views",
                fix="give the pipeline the data.augment and the seed that they were made with: "
                f"{json.dumps(theirs.model_dump(exclude_defaults=True))}",
            )
    elif count > 1:
        raise StageError(
            f"These soft labels have {count} views, and nothing says which.",
            where=str(path),
            fix="add `augment` and `seed`, as `edgekd labels --out` does, or give (samples, "
            "classes)",
        )
    if augment.mixes:
        raise StageError(
            "These soft labels are answers to the samples as they are, and mixup and cutmix show "
            "mixed ones.",
            where=str(path),
            fix="leave data.augment.mixup and data.augment.cutmix out",
        )
    if augment.active:
        return [
            "The soft labels are answers to the samples as they are, and the student learns them "
            "for varied ones, as with labels. Answers to what is shown teach more (Beyer et al. "
            "2022): `edgekd labels --out` writes such."
        ]
    return []


def write(
    path: Path,
    train: NDArray[np.floating],
    data: Dataset,
    augment: Augment,
    seed: int,
    validation: NDArray[np.floating] | None = None,
    test: NDArray[np.floating] | None = None,
) -> None:
    """Writes soft labels that `read` takes, whole or not at all.

    Args:
        train: logits (K, N, C) of the views that `augment` and `seed` make.
        validation: logits (N, C) of the samples as they are; likewise `test`.
    """
    arrays: dict[str, Any] = {
        "train_logits": train,
        "labels": np.array(data.labels),
        "fingerprint": np.array(data.fingerprint),
        "augment": np.array(augment.model_dump_json()),
        "seed": np.array(seed),
    }
    rest = {"validation_logits": validation, "test_logits": test}
    arrays |= {name: array for name, array in rest.items() if array is not None}
    with atomic_file(path) as file:
        np.savez(file, **arrays)
