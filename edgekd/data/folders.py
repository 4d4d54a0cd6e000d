"""Folders and .zip files of pictures or recordings: listed, decoded once, split, cached."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import AudioFolderData, FolderData, ImageFolderData
from edgekd.data import pictures, sound
from edgekd.data.archive import Files
from edgekd.data.assemble import assemble
from edgekd.data.checks import some
from edgekd.data.dataset import Dataset, Split, save
from edgekd.data.dataset import load as load_saved
from edgekd.data.listing import Item, list_items
from edgekd.data.parts import split_items
from edgekd.errors import DataError
from edgekd.spec import SoundSpec
from edgekd.store import digest

CACHE_VERSION = 1
"""Raise it when decoding, features or splits change."""
AHEAD = 64
"""Files that are decoded at a time, a thread."""
T = TypeVar("T")


def load(settings: FolderData, base: Path) -> Dataset:
    """The data set of a folder or .zip, memory-mapped from the cache; made if it is not there.

    Raises:
        DataError: files cannot be used; names them.
    """
    path = settings.location(base)
    known = settings.model_dump(mode="json", exclude={"root", "path", "augment"})
    key = digest(
        {
            "version": CACHE_VERSION,
            "content": source_fingerprint(settings, base),
            "name": path.stem,
            "settings": known,
        }
    )
    folder = cache_folder() / f"{path.stem}-{key}"
    if folder.is_dir():
        return load_saved(folder)
    dataset = read(settings, path)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        save(dataset, beside)
        try:
            beside.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return load_saved(folder)


def source_fingerprint(settings: FolderData, base: Path) -> str:
    """SHA-256 of the .zip's content, or of all names and contents, hexadecimal.

    Raises:
        DataError: there is nothing there.
    """
    path = settings.location(base)
    if path.is_file():  # listing a large .zip takes longer than reading it
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    with Files(path) as files:
        return files.fingerprint()


def cache_folder() -> Path:
    """Where decoded data is kept: $EDGEKD_CACHE, or edgekd in the user's cache folder."""
    own = os.environ.get("EDGEKD_CACHE")
    if own:
        return Path(own)
    users = os.environ.get("XDG_CACHE_HOME")
    return (Path(users) if users else Path.home() / ".cache") / "edgekd"


def read(settings: FolderData, path: Path) -> Dataset:
    """The data set, decoded, without the cache."""
    with Files(path) as files:
        items, notes = list_items(files, settings)
        if isinstance(settings, AudioFolderData):
            reader = _Recordings(settings, files)
        else:
            assert isinstance(settings, ImageFolderData)
            reader = _Pictures(settings, files)
        x, items, found = reader.read(items)
    notes += found
    notes += _duplicates(items, reader.contents, settings, path)
    labels = tuple(sorted({item.label for item in items}))
    if len(labels) < 2:
        raise DataError("Fewer than two classes are left.", where=str(path))
    y = np.array([labels.index(item.label) for item in items], np.int64)
    parts = split_items(items, settings, str(path))
    splits = {}
    for part, index in parts.items():
        missing = [label for i, label in enumerate(labels) if not (y[index] == i).any()]
        if part == "train" and missing:
            raise DataError(
                f"No training sample is left of class {some(missing)}.",
                where=str(path),
                fix="add samples, or lower data.validation and data.test",
            )
        splits[part] = Split(x[index], y[index])
    return assemble(path.stem, splits, labels, tuple(notes), reader.sound)


class _Reader:
    """Decodes files in threads (Pillow and scipy work without the lock) and lists broken ones."""

    sound: SoundSpec | None = None

    def __init__(self, settings: FolderData, files: Files) -> None:
        self.settings = settings
        self.files = files
        self.contents: dict[str, bytes] = {}
        self.broken: dict[str, str] = {}

    def each(
        self, items: Sequence[Item], decode: Callable[[bytes, str], T]
    ) -> Iterator[tuple[Item, T]]:
        """The items that could be decoded, in their order."""

        def one(item: Item) -> T | None:
            try:
                content = self.files.read(item.name)
                self.contents[item.name] = hashlib.blake2b(content, digest_size=16).digest()
                if not content:
                    raise ValueError("it is empty")
                return decode(content, item.name)
            except (ValueError, OSError) as error:
                self.broken[item.name] = str(error)
                return None

        workers = os.cpu_count() or 1
        with ThreadPoolExecutor(workers) as pool:
            for start in range(0, len(items), AHEAD * workers):
                batch = items[start : start + AHEAD * workers]
                for item, value in zip(batch, pool.map(one, batch), strict=True):
                    if value is not None:
                        yield item, value

    def check_broken(self) -> list[str]:
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


class _Pictures(_Reader):
    settings: ImageFolderData

    def read(self, items: list[Item]) -> tuple[NDArray[Any], list[Item], list[str]]:
        """Pixels (N, C, H, W), uint8, and their items."""
        x: NDArray[np.uint8] | None = None
        kept: list[Item] = []
        colour = False
        for item, (colours, pixels) in self.each(
            items, lambda content, name: pictures.decode(content, self.settings)
        ):
            x = np.empty((len(items), *pixels.shape), np.uint8) if x is None else x
            if pixels.shape != x.shape[1:]:
                raise DataError(
                    f"The pictures differ in size: {pixels.shape[2]} x {pixels.shape[1]} and "
                    f"{x.shape[3]} x {x.shape[2]}.",
                    where=f"{self.files.path}, {item.name} and {kept[0].name}",
                    fix="set data.size: [height, width]",
                )
            x[len(kept)] = pixels
            kept.append(item)
            colour = colour or colours
        notes = self.check_broken()
        if x is None:
            raise DataError("No picture can be read.", where=str(self.files.path))
        x = x[: len(kept)]
        channels = self.settings.channels
        if channels == 1 or (channels == "auto" and not colour):
            x = _grey(x)
        return x, kept, notes


class _Recordings(_Reader):
    settings: AudioFolderData

    def read(self, items: list[Item]) -> tuple[NDArray[Any], list[Item], list[str]]:
        """Features (N, 1, frames, mels), float32, and their items."""
        decoded = list(self.each(items, self._decode))
        notes = self.check_broken()
        if not decoded:
            raise DataError("No recording can be read.", where=str(self.files.path))
        rates = Counter(rate for _, (rate, _, _) in decoded)
        rate = self.settings.rate or rates.most_common(1)[0][0]
        self.sound = spec = sound.sound_spec(self.settings, rate)
        other = sum(count for found, count in rates.items() if found != rate)
        if other:
            listed = ", ".join(f"{found} Hz ({count})" for found, count in sorted(rates.items()))
            notes.append(f"{other} recordings were resampled to {rate} Hz; there are {listed}")
        stereo = sum(channels > 1 for _, (_, channels, _) in decoded)
        if stereo:
            notes.append(f"{stereo} recordings of several channels were averaged to one")
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            made = pool.map(
                lambda pair: sound.features(pair[1][2], pair[1][0], spec), decoded, chunksize=16
            )
            x = np.stack(list(made))
        return x, [item for item, _ in decoded], notes

    def _decode(self, content: bytes, name: str) -> tuple[int, int, NDArray[np.float32]]:
        rate, channels, mono = sound.decode(content, name)
        longest = int(rate * self.settings.seconds) + rate  # the rest would be cut anyway
        return rate, channels, mono[:longest].copy() if len(mono) > longest else mono


def _grey(x: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(N, 1, H, W) of (N, 3, H, W): Pillow's weights, those of ITU-R 601-2."""
    weights = np.array([19595, 38470, 7471], np.uint32)
    grey = np.empty((len(x), 1, *x.shape[2:]), np.uint8)
    for start in range(0, len(x), 1024):
        part = x[start : start + 1024].astype(np.uint32)
        grey[start : start + 1024, 0] = (np.tensordot(part, weights, (1, 0)) + 0x8000) >> 16
    return grey


def _duplicates(
    items: list[Item], contents: dict[str, bytes], settings: FolderData, path: Path
) -> list[str]:
    """A note on files of the training part that are in the test or validation part, too.

    Raises:
        DataError: there are some, and they are not allowed.
    """
    train = {contents[item.name]: item.name for item in items if item.part == "train"}
    twice = [
        f"{train[contents[item.name]]} = {item.name}"
        for item in items
        if item.part != "train" and contents[item.name] in train
    ]
    if not twice:
        return []
    if settings.allow_duplicates:
        return [f"{len(twice)} files stand in two parts: {some(twice, 3)}"]
    raise DataError(
        f"{len(twice)} files stand in the training part and again in the test or validation part.",
        where=f"{path}: {some(twice)}",
        fix="remove them from one part, or set data.allow_duplicates: true",
    )
