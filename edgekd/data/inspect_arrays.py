"""`edgekd data` of samples that are arrays: classes in each split, and a sheet of samples."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from edgekd.data.dataset import Dataset
from edgekd.data.sheet import Row, draw_sheet, heat, sample, spread, waves
from edgekd.spec import Task


def inspect_arrays(dataset: Dataset, sheet: Path | None) -> Iterator[str]:
    """Lines about a data set of one input.

    Args:
        sheet: a .png file for a contact sheet, a row a class.
    """
    (spec,) = dataset.spec.inputs
    classes = dataset.task in ("classification", "binary")
    word = "class" if classes else "label" if dataset.task == "multilabel" else "target"
    ending = "" if dataset.classes == 1 else "es" if classes else "s"
    yield (
        f"{dataset.name}: {dataset.task}, {dataset.classes} {word}{ending}, {spec.kind} samples of "
        f"shape {spec.shape}"
    )
    splits = dataset.splits
    yield f"{word:20} " + " ".join(f"{name:>10}" for name in splits)
    for number, name in enumerate(dataset.labels):
        cells = [_told(split.y, number, dataset.task) for split in splits.values()]
        yield f"{name:20} " + " ".join(f"{cell:>10}" for cell in cells)
    if not classes:
        yield f"{'samples':20} " + " ".join(f"{len(split):10,}" for split in splits.values())
    yield from (f"note: {warning}" for warning in dataset.warnings)
    yield from sample_sheet(dataset, sheet)


def sample_sheet(dataset: Dataset, sheet: Path | None) -> Iterator[str]:
    """Draws training samples of every class where `sheet` names a file, and says so."""
    if sheet is not None:
        draw_sheet(dataset.name, _sample_rows(dataset), sheet)
        yield f"sheet: {sheet}"


def _told(y: NDArray[Any], number: int, task: Task) -> str:
    """Samples of a class or with a label; of a regression's target, its mean and deviation."""
    if task == "regression":
        return f"{y[:, number].mean():.4g} ± {y[:, number].std():.2g}"
    return f"{int((y[:, number] > 0 if task == 'multilabel' else y == number).sum()):,}"


def _sample_rows(dataset: Dataset) -> list[Row]:
    x, y = dataset.train.x, dataset.train.y
    classes = dataset.task in ("classification", "binary")
    draw = _drawing(dataset)
    rows: list[Row] = []
    for number, name in enumerate(dataset.labels if classes else ("samples",)):
        places = np.flatnonzero(y == number) if classes else np.arange(len(x))
        chosen = places[spread(len(places))]
        rows.append((name, len(places), [draw(np.asarray(x[place])) for place in chosen]))
    return rows


def _drawing(dataset: Dataset) -> Callable[[NDArray[Any]], Image.Image]:
    """What makes a tile of a sample."""
    x = np.asarray(dataset.train.x)
    if dataset.spec.kind == "series":
        return partial(waves, low=x.min((0, 2)), high=x.max((0, 2)))
    if dataset.spec.kind == "audio":
        return lambda features: heat(features[0])
    return partial(sample, low=float(x.min()), high=float(x.max()))
