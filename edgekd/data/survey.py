"""What the files of a folder are, one by one: sizes, durations, what is broken or there twice."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from PIL import Image

from edgekd.config.data import AudioFolderData, FolderData, ImageFolderData
from edgekd.data import pictures, sound
from edgekd.data.archive import Files
from edgekd.data.decode import CHUNK
from edgekd.data.listing import Item, list_items
from edgekd.data.sheet import heard


@dataclass(frozen=True)
class Picture:
    """A picture file that can be read."""

    width: int
    """In pixels, turned as its EXIF data says."""
    height: int
    colour: bool


@dataclass(frozen=True)
class Recording:
    """A recording that can be read."""

    seconds: float
    rate: int
    channels: int


@dataclass
class Survey:
    """All files that are samples."""

    items: Sequence[Item]
    found: dict[str, Picture | Recording] = field(default_factory=dict)
    """By name, of the files that can be read."""
    broken: dict[str, str] = field(default_factory=dict)
    """By name: why it cannot be read."""
    contents: dict[str, bytes] = field(default_factory=dict)
    """By name: a hash of the content."""

    def twice(self) -> Iterator[tuple[Item, Item]]:
        """Files of the same content: the first of them, and each other."""
        same: dict[bytes, list[Item]] = defaultdict(list)
        for item in self.items:
            if item.name in self.contents:
                same[self.contents[item.name]].append(item)
        for first, *others in same.values():
            yield from ((first, other) for other in others)


def survey(files: Files, items: Sequence[Item], settings: FolderData) -> Survey:
    """Reads and decodes every file, in threads, and keeps none."""
    made = Survey(items)

    def chunk(start: int) -> None:
        for item in items[start : start + CHUNK]:
            try:
                content = files.read(item.name)
                made.contents[item.name] = hashlib.blake2b(content, digest_size=16).digest()
                if not content:
                    raise ValueError("it is empty")
                made.found[item.name] = _look(content, item.name, settings)
            except (ValueError, OSError) as error:
                made.broken[item.name] = str(error)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        list(pool.map(chunk, range(0, len(items), CHUNK)))
    return made


def survey_folder(settings: FolderData) -> Survey:
    """Reads every sample of a folder or .zip, whose path is absolute.

    Raises:
        DataError: no file in it is a sample, a class is empty, or classes differ between parts.
    """
    with Files(settings.path) as files:
        items, _ = list_items(files, settings)
        return survey(files, items, settings)


def _look(content: bytes, name: str, settings: FolderData) -> Picture | Recording:
    if isinstance(settings, AudioFolderData):
        rate, channels, mono = sound.decode(content, name)
        return Recording(len(mono) / rate, rate, channels)
    colour, pixels = pictures.decode(content, ImageFolderData(path=settings.path))
    return Picture(pixels.shape[2], pixels.shape[1], colour)


def shown(content: bytes, name: str, settings: FolderData) -> Image.Image:
    """A file as a tile of a contact sheet: the picture in the run's size, where one is given; a
    recording's waveform and below it the features of its own length, low frequencies below.
    """
    if not isinstance(settings, AudioFolderData):
        assert isinstance(settings, ImageFolderData)
        _, pixels = pictures.decode(content, settings)
        return Image.fromarray(pixels.transpose(1, 2, 0).copy())
    rate, _, mono = sound.decode(content, name)
    seconds = min(60.0, max(len(mono) / rate, 4 * settings.features.window_ms / 1000))
    spec = sound.sound_spec(settings.model_copy(update={"seconds": seconds}), rate)
    return heard(mono, sound.features(mono, rate, spec)[0])
