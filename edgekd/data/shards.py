"""Where shards are: .tar files of a folder, or addresses with `{000..099}` in them; and the part
that each belongs to.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from urllib.parse import urlsplit

from edgekd.config.data import WebDatasetData
from edgekd.data.archive import Files
from edgekd.data.cache import file_fingerprint
from edgekd.data.forward import Download, Forward, state_of
from edgekd.data.listing import PARTS
from edgekd.errors import DataError
from edgekd.store import digest

WORD = re.compile(rf"(?<![a-z])({'|'.join(PARTS)})(?![a-z])")
RANGE = re.compile(r"\{(\d+)\.\.(\d+)\}")
MOST = 100_000
"""Shards that an address may stand for."""
ASKED = 8
"""Shards whose state is asked for at a time."""


@dataclass(frozen=True)
class Shard:
    """One .tar file."""

    name: str
    """In the folder, or its address."""
    part: str
    """train, validation or test."""
    place: Path | str
    """The file, or its address."""

    @property
    def stem(self) -> str:
        """What names it in its samples' names, which a data set keeps: short."""
        local = isinstance(self.place, Path)
        name = self.name if local else urlsplit(self.name).path.rpartition("/")[2]
        return name.removesuffix(".tar")

    @contextmanager
    def opened(self) -> Iterator[Forward]:
        """Its content, to be read forwards."""
        if isinstance(self.place, Path):
            with open(self.place, "rb") as file:
                yield Forward(file.read)
            return
        source = Download(self.place)
        try:
            yield Forward(source.read)
        finally:
            source.close()


def find_shards(settings: WebDatasetData, base: Path) -> list[Shard]:
    """All shards in the order of their names, or of the addresses.

    Raises:
        DataError: there are none, or none to train on.
    """
    path = settings.location(base)
    if path is None:
        urls = [url for pattern in settings.url for url in expanded(pattern)]
        shards = [Shard(url, _part(urlsplit(url).path), url) for url in urls]
    elif path.is_file():
        shards = [Shard(path.name, "train", path)]
    else:
        with Files(path) as files:
            names = [name for name in files.names if name.endswith(".tar")]
        shards = [Shard(name, _part(name), path / name) for name in names]
    where = str(path) if path is not None else ", ".join(settings.url)
    if not shards:
        raise DataError(
            "There is no .tar file in this folder.",
            where=where,
            fix="shards are plain .tar files: unpack .tar.gz ones, and give pictures in folders to "
            "source: image_folder",
        )
    if not any(shard.part == "train" for shard in shards):
        raise DataError(
            "There is no shard to train on.",
            where=where,
            fix="the parts are told by train, val and test in the shards' names; shards without "
            "such a word are for training",
        )
    return shards


def expanded(pattern: str) -> list[str]:
    """The addresses that one with `{000..099}` in it stands for, with as many digits.

    Raises:
        DataError: they are too many, or braces hold something else.
    """
    pieces = RANGE.split(pattern)
    limits = [(int(low), int(high)) for low, high in zip(pieces[1::3], pieces[2::3], strict=True)]
    count = math.prod(max(0, high - low + 1) for low, high in limits)
    rest = pieces[::3]
    if not 0 < count <= MOST or any("{" in piece or "}" in piece for piece in rest):
        raise DataError(
            f"This address stands for no shards, or for more than {MOST:,}.",
            where=f"data.url: {pattern}",
            fix="write the first and the last number: https://host/train-{000..099}.tar",
        )
    ranges = [
        [f"{number:0{len(low)}d}" for number in range(first, last + 1)]
        for low, (first, last) in zip(pieces[1::3], limits, strict=True)
    ]
    return [
        "".join(a + b for a, b in zip(rest, (*numbers, ""), strict=True))
        for numbers in product(*ranges)
    ]


def fingerprint(settings: WebDatasetData, base: Path) -> str:
    """SHA-256 of the shards' content, hexadecimal; of those on a server, of their addresses and
    what it says of each: ETag, time and length.

    Raises:
        DataError: there are none, or a server does not answer.
    """
    path = settings.location(base)
    what = settings.model_dump(mode="json", include={"x", "y"})
    if path is None:
        urls = [url for pattern in settings.url for url in expanded(pattern)]
        with ThreadPoolExecutor(ASKED) as pool:
            content = digest([urls, *pool.map(state_of, urls)])
    elif path.is_file():
        content = file_fingerprint(path)
    else:
        with Files(path) as files:
            content = files.fingerprint()
    return hashlib.sha256((content + digest(what)).encode()).hexdigest()


def _part(name: str) -> str:
    found = WORD.findall(name.lower())
    return PARTS[found[-1]] if found else "train"
