"""Samples that come one after the other, and are written to disk as they come: of however many,
only a block is ever held in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import Pictured
from edgekd.data.arrays import check_every_class, complete
from edgekd.data.assemble import assemble
from edgekd.data.checks import channels_first
from edgekd.data.dataset import Dataset, Split
from edgekd.data.targets import read_targets
from edgekd.errors import DataError
from edgekd.store import new_map

BLOCK, BLOCK_BYTES = 1024, 32 << 20
"""A block ends with so many samples, or bytes."""
PEAK = 255
"""The largest value of a byte."""


@dataclass(frozen=True)
class Sample:
    """One sample as it comes."""

    x: NDArray[Any]
    """A picture, (3, H, W) uint8; or numbers as they are stored."""
    y: Any
    """Its target: a number, a text, or several numbers."""
    id: str
    """What names it in its source."""
    colour: bool | None = None
    """Of a picture, whether it has colour; None where it is none."""


@dataclass(frozen=True)
class Written:
    """What became of the samples of a part."""

    x: NDArray[Any]
    """(N, *shape), memory-mapped, channels first: uint8 or float32."""
    y: NDArray[Any]
    """(N, ...), as they came."""
    ids: NDArray[np.str_]
    bytes: bool
    """Whether x holds whole numbers from 0 to 255, as images do."""
    grey: bool
    """Whether these are pictures of which none has colour: one channel is enough."""


def from_parts(
    parts: Mapping[str, Iterable[Sample]],
    settings: Pictured,
    name: str,
    place: str,
    folder: Path,
) -> Dataset:
    """The data set of samples that come by part; its arrays are files in `folder`.

    Args:
        parts: "train" and, where they are there, "validation" and "test".
        place: what they came from, for errors.

    Raises:
        DataError: samples or targets cannot be used; names the sample.
    """
    found = {
        part: write(samples, folder / f"{part}.raw", settings.layout, f"{place}, {part}")
        for part, samples in parts.items()
    }
    _check_alike(found, place)
    where = {part: f"{place}, {part}" for part in found}
    targets = read_targets(
        {part: written.y for part, written in found.items()},
        counts={part: len(written.x) for part, written in found.items()},
        where=where,
        task=settings.task,
        labels=settings.labels,
    )
    rows = {  # only their numbers are split: the samples stay on disk
        part: Split(np.arange(len(written.x)), targets.y[part], written.ids)
        for part, written in found.items()
    }
    if targets.task in ("classification", "binary"):
        check_every_class(rows, targets.labels, where)
    bytes_ = found["train"].x.ndim == 4 and all(written.bytes for written in found.values())
    grey = all(written.grey for written in found.values())
    splits = {}
    for part, split in complete(rows, settings, targets, where["train"]).items():
        raw = found.get(part, found["train"]).x
        x = _copied(raw, split.x, folder / f"{part}_x.npy", bytes_, grey)
        splits[part] = Split(x, split.y, split.ids)
    for part in found:
        (folder / f"{part}.raw").unlink()
    return assemble(name, splits, targets.labels, notes=targets.notes, task=targets.task)


def write(
    samples: Iterable[Sample], path: Path, layout: Literal["auto", "NHWC", "NCHW"], where: str
) -> Written:
    """Writes samples to a file as they come.

    Raises:
        DataError: there are none, or one cannot be used.
    """
    targets: list[NDArray[Any]] = []
    ids: list[NDArray[np.str_]] = []
    like: NDArray[Any] | None = None
    grey = fits = True
    low, high = np.inf, -np.inf
    with open(path, "wb") as file:
        for block in blocks(samples, lambda sample: sample.x.nbytes):
            x = _stacked(block, layout, where)
            if like is None:
                like = x[:0]
            if (x.shape[1:], x.dtype) != (like.shape[1:], like.dtype):
                raise _differ(block[0], x, like, where)
            file.write(np.ascontiguousarray(x).data)
            low, high = min(low, float(x.min())), max(high, float(x.max()))
            fits = fits and (x.dtype == np.uint8 or bool((x == np.floor(x)).all()))
            grey = grey and all(sample.colour is False for sample in block)
            targets.append(_targets(block, where))
            ids.append(np.array([sample.id for sample in block], np.str_))
    if like is None:
        raise DataError("There are no samples.", where=where)
    small = like.dtype == np.uint8 or (low >= 0 and 1 < high <= PEAK)
    shape = (sum(map(len, ids)), *like.shape[1:])
    mapped = np.memmap(path, like.dtype, "r", shape=shape)
    return Written(mapped, np.concatenate(targets), np.concatenate(ids), fits and small, grey)


def blocks(items: Iterable[Any], size: Callable[[Any], int]) -> Iterator[list[Any]]:
    """The items in their order, a block at a time.

    Args:
        size: bytes of an item.
    """
    block: list[Any] = []
    held = 0
    for item in items:
        block.append(item)
        held += size(item)
        if len(block) == BLOCK or held >= BLOCK_BYTES:
            yield block
            block, held = [], 0
    if block:
        yield block


def _stacked(
    block: list[Sample], layout: Literal["auto", "NHWC", "NCHW"], where: str
) -> NDArray[Any]:
    """The samples of a block, (n, C, H, W) or (n, F): uint8 if they are stored so, else float32."""
    first = block[0]
    for sample in block:
        if (sample.x.shape, sample.x.dtype) != (first.x.shape, first.x.dtype):
            raise _differ(sample, sample.x[None], first.x[None], where)
    x = np.stack([sample.x for sample in block])
    x = x[:, None] if x.ndim == 1 else x
    if first.colour is None:
        x = channels_first(x, layout, f"{where}, sample {first.id}")
    if x.ndim == 4 and x.dtype in (np.uint8, np.bool_):
        return x.astype(np.uint8, copy=False)
    with np.errstate(over="ignore"):  # what float32 cannot hold becomes infinite, and is told
        x = x.astype(np.float32, copy=False)
    good = np.isfinite(x).reshape(len(x), -1).all(1)
    if not good.all():
        raise DataError(
            "A sample holds NaN or an infinite value.",
            where=f"{where}, sample {block[int((~good).argmax())].id}",
            fix="leave it out of the shards",
        )
    return x


def _differ(sample: Sample, x: NDArray[Any], like: NDArray[Any], where: str) -> DataError:
    return DataError(
        f"The samples differ in shape or type: {x.shape[1:]} {x.dtype} and {like.shape[1:]} "
        f"{like.dtype}.",
        where=f"{where}, sample {sample.id}",
        fix="set data.size: [height, width] for pictures; arrays and lists must have one shape and "
        "type",
    )


def _targets(block: list[Sample], where: str) -> NDArray[Any]:
    try:
        return np.asarray([sample.y for sample in block])
    except ValueError as error:  # lists of several lengths
        raise DataError(
            "The targets of some samples differ in shape.",
            where=f"{where}, samples {block[0].id} to {block[-1].id}",
            fix="give every sample as many numbers",
        ) from error


def _check_alike(found: Mapping[str, Written], place: str) -> None:
    like = found["train"].x
    for part, written in found.items():
        if written.x.shape[1:] != like.shape[1:]:
            raise DataError(
                f"Samples of {part} are {written.x.shape[1:]}, and those of train are "
                f"{like.shape[1:]} (channels first).",
                where=place,
                fix="give every part samples of one shape; data.size brings pictures to one",
            )


def _copied(
    raw: NDArray[Any], index: NDArray[np.int64], path: Path, as_bytes: bool, grey: bool
) -> NDArray[Any]:
    """The rows at `index` as an .npy file of their own, memory-mapped."""
    kind = np.uint8 if as_bytes else np.float32
    shape = (len(index), 1 if grey else raw.shape[1], *raw.shape[2:])
    out = new_map(path, kind, shape)
    size = max(1, min(BLOCK, BLOCK_BYTES // max(1, 4 * raw[0].size)))
    for start in range(0, len(index), size):
        part = raw[index[start : start + size]]
        out[start : start + size] = part[:, :1] if grey else part
    out.flush()
    return np.load(path, mmap_mode="r", allow_pickle=False)
