"""WebDataset's shards, of a folder or over HTTP: read as a stream, decoded once."""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import repeat
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from numpy.typing import NDArray

from edgekd.config.data import WebDatasetData
from edgekd.data.checks import some
from edgekd.data.dataset import Dataset
from edgekd.data.decoded_once import decoded_once
from edgekd.data.flow import BLOCK_BYTES, Sample, blocks, from_parts
from edgekd.data.npz_file import BROKEN, read_npy
from edgekd.data.pictures import SUFFIXES, decode
from edgekd.data.shards import RANGE, Shard, find_shards, fingerprint
from edgekd.data.tar_samples import Members, read_samples
from edgekd.errors import DataError
from edgekd.store import digest, parse_json

CACHE_VERSION = 1
"""Raise it when decoding or splits change."""
PICTURES = tuple(suffix.removeprefix(".") for suffix in SUFFIXES)
ARRAYS = ("npy",)
TEXTS = ("cls", "txt")
TARGETS = ("cls", "json")
"""Endings that are targets where the settings name none."""
FIELDS = ("label", "labels", "target", "cls")
"""Of a dictionary, what may be the target."""
THREADS = os.cpu_count() or 1
MOST_TEXT = 1 << 20
"""Bytes of a target."""
NAME = re.compile(r"[^\w.-]+")


def load(settings: WebDatasetData, base: Path) -> Dataset:
    """The data set of shards, memory-mapped from the cache; made if it is not there.

    Raises:
        DataError: shards cannot be used; names shard and sample.
    """
    place = settings.location(base)
    name = _name(settings, place)
    known = settings.model_dump(mode="json", exclude={"root", "path", "url", "augment"})
    key = digest(
        {
            "version": CACHE_VERSION,
            "content": source_fingerprint(settings, base),
            "name": name,
            "settings": known,
        }
    )
    shards = find_shards(settings, base)

    def read(folder: Path) -> Dataset:
        found = {shard.part for shard in shards}
        parts = {
            part: _samples([shard for shard in shards if shard.part == part], settings)
            for part in ("train", "validation", "test")
            if part in found
        }
        return from_parts(parts, settings, name, str(place or settings.url[0]), folder)

    return decoded_once(f"{name}-{key}", read)


def source_fingerprint(settings: WebDatasetData, base: Path) -> str:
    """SHA-256 of what the data is made from; see `shards.fingerprint`.

    Raises:
        DataError: there are no shards, or a server does not answer.
    """
    return fingerprint(settings, base)


def _name(settings: WebDatasetData, place: Path | None) -> str:
    path = place or Path(RANGE.sub("", urlsplit(settings.url[0]).path))
    return NAME.sub("-", path.stem).strip("-_.") or "webdataset"


def _samples(shards: Sequence[Shard], settings: WebDatasetData) -> Iterator[Sample]:
    """The samples of some shards; those of a block are decoded in threads."""
    decoder: _Decoder | None = None
    with ThreadPoolExecutor(THREADS) as pool:
        for shard in shards:
            found = _read(shard, settings)
            for block in blocks(found, lambda members: sum(map(len, members.content.values()))):
                decoder = decoder or _Decoder(settings, shard, block[0])
                for start in range(0, len(block), decoder.at_once):
                    some_of = block[start : start + decoder.at_once]
                    each = -(-len(some_of) // THREADS)
                    parts = [some_of[at : at + each] for at in range(0, len(some_of), each)]
                    for samples in pool.map(decoder, repeat(shard), parts):
                        yield from samples


def _read(shard: Shard, settings: WebDatasetData) -> Iterator[Members]:
    named = [name.rpartition(".")[2] for name in (settings.x, settings.y) if name is not None]
    with shard.opened() as file:
        yield from read_samples(file, shard.name, {*PICTURES, *ARRAYS, *TEXTS, "json", *named})


class _Decoder:
    """Makes samples of members.

    Args:
        shard: the first one.
        first: its first sample, which tells the endings where the settings do not, and the shape
            of all: a small file can be a huge picture, and many are decoded at a time.

    Raises:
        DataError: the endings cannot be told, or it cannot be read.
    """

    def __init__(self, settings: WebDatasetData, shard: Shard, first: Members) -> None:
        self.settings = settings
        where = f"{shard.name}, sample {first.key}"
        has = [*first.content, *first.passed]
        able = [name for name in first.content if name.rpartition(".")[2] in (*PICTURES, *ARRAYS)]
        self.x = (settings.x or "").lower() or _only(able, "x", has, where)
        known = [name for name in TARGETS if name in first.content]
        self.y = (settings.y or "").lower() or _only(known[:1], "y", has, where)
        self.shape: tuple[int, ...] | None = None
        x = self._sample(shard, first).x
        self.shape = x.shape
        self.at_once = max(THREADS, BLOCK_BYTES // max(1, x.nbytes))
        """Samples that may be decoded before any of them is written."""

    def __call__(self, shard: Shard, some_of: Sequence[Members]) -> list[Sample]:
        """Samples of a shard.

        Raises:
            DataError: a member is missing or cannot be read.
        """
        return [self._sample(shard, members) for members in some_of]

    def _sample(self, shard: Shard, members: Members) -> Sample:
        where = f"{shard.name}, sample {members.key}"
        for ending in (self.x, self.y):
            if ending not in members.content:
                has = some([f".{name}" for name in (*members.content, *members.passed)])
                raise DataError(
                    f"A sample has no .{ending} member.",
                    where=f"{where}, which has {has}",
                    fix="the members of a sample stand one after the other in a shard; data.x and "
                    "data.y name their endings",
                )
        try:
            colour, x = self._picture_or_array(members.content[self.x])
            y = _target(members.content[self.y], self.y)
        except BROKEN as error:
            raise DataError("A sample cannot be read.", where=f"{where}: {error}") from error
        if self.shape is not None and x.shape != self.shape:
            raise DataError(
                f"The samples differ in shape: {x.shape} and {self.shape}.",
                where=where,
                fix="set data.size: [height, width] for pictures; arrays must have one shape",
            )
        return Sample(x, y, f"{shard.stem}/{members.key}", colour)

    def _picture_or_array(self, content: bytes) -> tuple[bool | None, NDArray[Any]]:
        kind = self.x.rpartition(".")[2]
        if kind in PICTURES:
            return decode(content, self.settings)
        if kind in ARRAYS:
            return None, read_npy(io.BytesIO(content), len(content))
        raise ValueError(f"no picture and no array ends with .{kind}")


def _only(names: Sequence[str], field: str, has: Sequence[str], where: str) -> str:
    if len(names) == 1:
        return names[0]
    raise DataError(
        f"It is not clear which member is the {'sample' if field == 'x' else 'target'}.",
        where=f"{where}, which has {some([f'.{name}' for name in has])}",
        fix=f"give its ending as data.{field}, such as {'jpg' if field == 'x' else 'cls'}",
    )


def _target(content: bytes, ending: str) -> Any:
    """A number, a text or a list of numbers.

    Raises:
        ValueError: it is none.
    """
    if len(content) > MOST_TEXT:
        raise ValueError(f"its target takes {len(content):,} bytes")
    kind = ending.rpartition(".")[2]
    if kind in ARRAYS:
        return read_npy(io.BytesIO(content), len(content))
    if kind in TEXTS:
        text = content.decode("utf-8").strip()
        return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text
    if kind != "json":
        raise ValueError(f"a target ends with .cls, .txt, .json or .npy, and not with .{kind}")
    found = parse_json(content)
    if isinstance(found, dict):
        fields = [name for name in FIELDS if name in found]
        if not fields:
            raise ValueError(f"its .{ending} has none of {', '.join(FIELDS)}")
        found = found[fields[0]]
    if isinstance(found, str | int | float) or (
        isinstance(found, list) and all(isinstance(part, int | float) for part in found)
    ):
        return found
    raise ValueError(f"its .{ending} is no number, text or list of numbers")
