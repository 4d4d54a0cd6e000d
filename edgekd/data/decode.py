"""Files of pictures and recordings decoded into an array on disk, however many there are."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import AudioFolderData, FolderData, ImageFolderData
from edgekd.data import pictures, sound
from edgekd.data.archive import Files
from edgekd.data.checks import some
from edgekd.data.listing import Item
from edgekd.errors import DataError
from edgekd.spec import SoundSpec
from edgekd.store import new_map

CHUNK = 64
"""Files that a thread decodes at a time: handing over single ones costs a third of the time."""
DECODED = "decoded.npy"
F = TypeVar("F")


@dataclass(frozen=True)
class Decoded:
    """What became of the files."""

    x: NDArray[Any]
    """(N, *shape), memory-mapped, a row a file; rows of files that were left out mean nothing."""
    kept: NDArray[np.int64]
    """(M,), the rows that were decoded, ascending."""
    grey: bool
    """Whether the three channels of x are to become one."""
    notes: list[str]
    sound: SoundSpec | None = None


class Decoder:
    """Decodes files in threads (Pillow, scipy and numpy work without the lock), straight into a
    file, and lists broken ones.
    """

    def __init__(self, settings: FolderData, files: Files, folder: Path) -> None:
        self.settings = settings
        self.files = files
        self.folder = folder
        self.contents: dict[str, bytes] = {}
        """A hash of each file's content, by name."""
        self.broken: dict[str, str] = {}

    def decode(self, items: Sequence[Item]) -> Decoded:
        """All items, a row each.

        Raises:
            DataError: files cannot be read and are not to be skipped, or do not fit together.
        """
        if isinstance(self.settings, AudioFolderData):
            return self._recordings(items, self.settings)
        assert isinstance(self.settings, ImageFolderData)
        return self._pictures(items, self.settings)

    def _pictures(self, items: Sequence[Item], settings: ImageFolderData) -> Decoded:
        """Pixels (N, 3, H, W), uint8."""

        def read(content: bytes, name: str) -> tuple[bool, NDArray[np.uint8]]:
            return pictures.decode(content, settings)

        first, (_, pixels) = self._first(items, read)
        x = self._array((len(items), *pixels.shape), np.uint8)

        def store(row: int, content: bytes, name: str) -> bool:
            colour, found = read(content, name)
            if found.shape != pixels.shape:
                raise DataError(
                    f"The pictures differ in size: {found.shape[2]} x {found.shape[1]} and "
                    f"{pixels.shape[2]} x {pixels.shape[1]}.",
                    where=f"{self.files.path}, {name} and {first}",
                    fix="set data.size: [height, width]",
                )
            x[row] = found
            return colour

        kept, colours = self._each(items, store)
        channels = settings.channels
        grey = channels == 1 or (channels == "auto" and not any(colours))
        return Decoded(x, kept, grey, self._check_broken())

    def _recordings(self, items: Sequence[Item], settings: AudioFolderData) -> Decoded:
        """Features (N, 1, frames, mels), float32."""
        _, (rate, _, _) = self._first(items, sound.decode)
        rate = settings.rate or rate
        while True:
            spec = sound.sound_spec(settings, rate)
            x = self._array((len(items), 1, spec.frames, spec.mels), np.float32)
            kept, found = self._each(items, _features_into(x, spec))
            notes = self._check_broken()
            rates = Counter(found_rate for found_rate, _ in found)
            commonest = rates.most_common(1)[0][0]
            if settings.rate is not None or commonest == rate:
                break
            rate = commonest  # the first recording was an exception, and all begins again
        other = sum(count for found_rate, count in rates.items() if found_rate != rate)
        if other:
            listed = ", ".join(f"{rate} Hz ({count})" for rate, count in sorted(rates.items()))
            first = _first_of(items, kept, [found_rate != rate for found_rate, _ in found])
            notes.append(
                f"{other} recordings, such as {first}, were resampled to {rate} Hz; "
                f"there are {listed}"
            )
        several = [channels > 1 for _, channels in found]
        if any(several):
            notes.append(
                f"{sum(several)} recordings of several channels, such as "
                f"{_first_of(items, kept, several)}, were averaged to one"
            )
        return Decoded(x, kept, False, notes, spec)

    def _first(self, items: Sequence[Item], read: Callable[[bytes, str], F]) -> tuple[str, F]:
        """The first file that can be read, which the others are measured by."""
        for item in items:
            try:
                return item.name, read(self._content(item.name), item.name)
            except (ValueError, OSError) as error:
                self.broken[item.name] = str(error)
        self._check_broken()
        raise DataError("No file of it can be read.", where=str(self.files.path))

    def _each(
        self, items: Sequence[Item], store: Callable[[int, bytes, str], F]
    ) -> tuple[NDArray[np.int64], list[F]]:
        """The rows that could be stored, ascending, and what `store` told of each."""

        def chunk(start: int) -> list[tuple[int, F]]:
            done = []
            for row in range(start, min(start + CHUNK, len(items))):
                name = items[row].name
                try:
                    done.append((row, store(row, self._content(name), name)))
                except (ValueError, OSError) as error:
                    self.broken[name] = str(error)
            return done

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            done = [pair for part in pool.map(chunk, range(0, len(items), CHUNK)) for pair in part]
        return np.array([row for row, _ in done], np.int64), [found for _, found in done]

    def _content(self, name: str) -> bytes:
        content = self.files.read(name)
        self.contents[name] = hashlib.blake2b(content, digest_size=16).digest()
        if not content:
            raise ValueError("it is empty")
        return content

    def _array(self, shape: tuple[int, ...], kind: type[np.generic]) -> NDArray[Any]:
        """An array on disk; a full disk is told now, because later it would end the process."""
        need = 2 * int(np.prod(shape)) * np.dtype(kind).itemsize
        free = shutil.disk_usage(self.folder).free
        if need > free:
            raise DataError(
                f"Decoded, the data takes {need / 1e9:.1f} GB, and {free / 1e9:.1f} GB are free.",
                where=str(self.folder),
                fix="free some, or set EDGEKD_CACHE to a folder on another disk",
            )
        return new_map(self.folder / DECODED, kind, shape)

    def _check_broken(self) -> list[str]:
        """A note on broken files.

        Raises:
            DataError: there are some, and they are not to be skipped.
        """
        if not self.broken:
            return []
        listed = some([f"{name} ({self.broken[name]})" for name in sorted(self.broken)], 10)
        if self.settings.skip_broken:
            return [f"{len(self.broken)} broken files were skipped: {listed}"]
        count = len(self.broken)
        raise DataError(
            f"{count} file{'s' if count > 1 else ''} cannot be read.",
            where=f"{self.files.path}: {listed}",
            fix="repair or remove them, or set data.skip_broken: true",
        )


def _first_of(items: Sequence[Item], kept: NDArray[np.int64], which: Sequence[bool]) -> str:
    """The name of the first file that is one of `which`."""
    return items[int(kept[list(which).index(True)])].name


def _features_into(x: NDArray[Any], spec: SoundSpec) -> Callable[[int, bytes, str], Any]:
    """Stores a recording's features in its row, and tells its rate and channels."""

    def store(row: int, content: bytes, name: str) -> tuple[int, int]:
        rate, channels, mono = sound.decode(content, name)
        longest = int(rate * spec.samples / spec.rate) + rate  # the rest would be cut anyway
        x[row] = sound.features(mono[:longest], rate, spec)
        return rate, channels

    return store


def rows(decoded: Decoded, index: NDArray[np.int64], path: Path, size: int = 1024) -> NDArray[Any]:
    """The rows at `index` (N,) as an .npy file of their own, memory-mapped."""
    shape = (len(index), 1 if decoded.grey else decoded.x.shape[1], *decoded.x.shape[2:])
    found = new_map(path, decoded.x.dtype, shape)
    for start in range(0, len(index), size):
        part = decoded.x[index[start : start + size]]
        found[start : start + size] = _grey(part) if decoded.grey else part
    found.flush()
    return np.load(path, mmap_mode="r", allow_pickle=False)


def _grey(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 1, H, W) of (N, 3, H, W): Pillow's weights, those of ITU-R 601-2."""
    weights = np.array([19595, 38470, 7471], np.uint32)
    grey = (np.tensordot(x.astype(np.uint32), weights, (1, 0)) + 0x8000) >> 16
    return grey.astype(np.uint8)[:, None]
