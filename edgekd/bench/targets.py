"""A user's labels or targets as a model's numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data.targets import read_targets
from edgekd.errors import DataError
from edgekd.spec import ModelSpec


def targets_of(y: NDArray[Any], count: int, spec: ModelSpec, where: str) -> NDArray[Any]:
    """Targets as in `edgekd.data.dataset.Split.y`, of `count` samples.

    Raises:
        DataError: they are none that this model answers.
    """
    if spec.task in ("multilabel", "regression"):
        return _columns(y, count, spec, where)
    return numbers(y, spec.labels, where)


def _columns(y: NDArray[Any], count: int, spec: ModelSpec, where: str) -> NDArray[np.float32]:
    """Targets (N, L) of several labels or of a regression.

    Raises:
        DataError: they are none, or not as many a sample as the model has outputs.
    """
    found = read_targets(
        {"train": y}, counts={"train": count}, where={"train": where}, task=spec.task
    ).y["train"]
    if found.shape[1] != len(spec.labels):
        raise DataError(
            f"There are {found.shape[1]} targets a sample, and the model gives {len(spec.labels)}.",
            where=where,
        )
    return found


def numbers(y: NDArray[Any], labels: tuple[str, ...], where: str) -> NDArray[np.int64]:
    """Labels (N,), names or numbers, as the model's numbers of classes.

    Raises:
        DataError: a label is unknown to the model.
    """
    if y.ndim != 1:
        raise DataError(f"Labels of shape {y.shape} are not one for each sample.", where=where)
    if y.dtype.kind == "U":
        place = {label: number for number, label in enumerate(labels)}
        unknown = sorted(set(y.tolist()) - place.keys())
        if unknown:
            raise DataError(f"The model does not know the label {unknown[0]!r}.", where=where)
        return np.array([place[label] for label in y.tolist()], np.int64)
    if y.dtype.kind not in "iu":
        raise DataError(f"Labels of {y.dtype} are neither names nor whole numbers.", where=where)
    if len(y) and not 0 <= int(y.min()) <= int(y.max()) < len(labels):
        raise DataError(
            f"Labels go from {y.min()} to {y.max()}, the model knows 0 to {len(labels) - 1}.",
            where=where,
        )
    return y.astype(np.int64)
