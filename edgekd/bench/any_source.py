"""Test data of every source, for a file of edgekd's and for one that nobody here wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from edgekd.bench.data import Test
from edgekd.bench.targets import numbers
from edgekd.config.stages import OnnxInput
from edgekd.errors import DataError
from edgekd.runtimes import foreign
from edgekd.runtimes.loaded import LoadedFile
from edgekd.spec import InputSpec, ModelSpec

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset

PLACE = "--"
"""Before the names of `OnnxInput`'s fields: they are options of the command."""


@dataclass(frozen=True)
class Ready:
    """Test data as a file takes it."""

    test: Test
    spec: ModelSpec
    """What its outputs answer."""
    notes: tuple[str, ...] = ()
    foreign: bool = False
    """Whether the file tells nothing of itself: several labels may come as probabilities."""


def of_own_file(source: str, spec: ModelSpec) -> Ready:
    """The test part of a source for a file that edgekd exported, of classes in any order.

    Raises:
        DataError: the samples or the classes are not those of the model.
    """
    from edgekd.data.command_source import named_data

    part = spec.input
    pictures = isinstance(part, InputSpec) and part.kind == "image"
    size = (part.shape[1], part.shape[2]) if isinstance(part, InputSpec) and pictures else None
    data = named_data(source, size=size)
    _check_samples(data, spec, source)
    y = data.test.y
    if set(data.labels) != set(spec.labels):
        others = sorted(set(data.labels) ^ set(spec.labels))
        raise DataError(
            "The classes of the data are not those that the model answers.",
            where=f"{source}: {', '.join(map(repr, others[:6]))} stand in one of them only",
            fix="give the data that it was trained on, or other samples of its classes",
        )
    if spec.task in ("classification", "binary"):
        y = numbers(np.asarray(data.labels)[y], spec.labels, source)
    elif data.labels != spec.labels:
        y = y[:, [data.labels.index(label) for label in spec.labels]]
    return Ready((spec.input.normalise(_arrays(data.test.x)), y), spec)


def _arrays(x: Any) -> Any:
    return {name: np.asarray(v) for name, v in x.items()} if isinstance(x, dict) else np.asarray(x)


def _check_samples(data: Dataset, spec: ModelSpec, source: str) -> None:
    fix = "give the pipeline file that the model was made by: its data is read as there"
    if data.task != spec.task:
        raise DataError(f"The model is for {spec.task}, the data for {data.task}.", where=source)
    counts = len(spec.input.inputs), len(data.spec.inputs)
    if counts[0] != counts[1]:
        raise DataError(
            f"The model has {counts[0]} inputs, and a sample of the data {counts[1]}.",
            where=source,
            fix=fix,
        )
    for own, given in zip(spec.input.inputs, data.spec.inputs, strict=True):
        if own.shape != given.shape or own.kind != given.kind:
            raise DataError(
                f"The model takes {own.kind} {own.shape}, and a sample of the data is {given.kind} "
                f"{given.shape}.",
                where=source,
                fix=fix,
            )
        if own.sound != given.sound or own.vocabulary != given.vocabulary:
            raise DataError(
                "The data is made into samples otherwise than the model was trained on.",
                where=source,
                fix=fix,
            )


def of_foreign_file(
    source: str, file: LoadedFile, path: Path, settings: OnnxInput, label: Sequence[str]
) -> Ready:
    """The test part of a source as a file takes it that does not tell how.

    Raises:
        EdgekdError: the file has several inputs, or samples and file do not fit each other.
    """
    from edgekd.data.command_source import named_data

    taken = file.only_input()
    shape = [None if size < 0 else size for size in taken.shape]
    size = foreign.picture_size(shape, settings.layout)
    data = named_data(source, label=label, size=size)
    if not isinstance(data.spec, InputSpec):
        raise DataError(
            "The data has several inputs, and this file one.",
            where=f"{path}; {', '.join(part.name for part in data.spec.inputs)}",
        )
    where = f"{path}, {taken.name}"
    layout = foreign.layout_of(shape, data.spec.shape, settings.layout, where=where, place=PLACE)
    factor, offset = foreign.affine(data.spec, settings, where=str(path), place=PLACE)
    scale, zero = (1.0, 0) if taken.scale is None else (taken.scale.scale, taken.scale.zero_point)
    feed = foreign.Feed(layout, factor, offset, taken.dtype, scale, zero)
    told = (
        f"{path.name} does not tell how its input is made: it got the data normalised by the "
        "training samples' mean and deviation; else say --scale, --mean and --std"
    )
    test = (feed(np.asarray(data.test.x)), data.test.y)
    spec = data.model_spec(path.stem).with_raw_answers()
    return Ready(test, spec, () if settings.scaled else (told,), foreign=True)
