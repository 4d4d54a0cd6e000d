"""Data sets that the library `datasets` reads: of the Hugging Face Hub, or of local folders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import HuggingFaceData
from edgekd.data.archive import Files
from edgekd.data.checks import some
from edgekd.data.dataset import Dataset
from edgekd.data.decoded_once import decoded_once
from edgekd.data.flow import Sample, from_parts
from edgekd.data.pictures import as_array
from edgekd.errors import DataError
from edgekd.store import canonical_json, digest

CACHE_VERSION = 1
"""Raise it when decoding or splits change."""
PARTS = {
    "train": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "test": "test",
}
"""Names that a part may have there, and here."""
TARGETS = ("label", "labels", "target", "fine_label")
COLOUR = 3
"""Dimensions of a picture that has colour."""
COMMIT = re.compile(r"[0-9a-f]{40}")


def load(settings: HuggingFaceData, base: Path) -> Dataset:
    """The data set, memory-mapped from the cache; made if it is not there. No code of the Hub is
    run: `datasets` reads data files only.

    Raises:
        DataError: the library or the data set is not there, or a column cannot be used.
    """
    name = Path(settings.name).name or "huggingface"
    known = settings.model_dump(mode="json", exclude={"name", "augment", "streaming"})
    content = source_fingerprint(settings, base)
    key = digest({"version": CACHE_VERSION, "content": content, "settings": known})
    return decoded_once(f"{name}-{key}", lambda folder: _made(settings, base, name, folder))


def _made(settings: HuggingFaceData, base: Path, name: str, folder: Path) -> Dataset:
    """The data set, its arrays files in `folder`."""
    parts = _read(settings, base)
    first = next(iter(parts.values()))
    features = first.features or dict.fromkeys(next(iter(first)))  # a stream of CSV has no types
    x, y = _columns(settings, features)
    labels = settings.labels or getattr(features[y], "names", None)
    pictured = {"layout": "NHWC"} if type(features[x]).__name__ == "Image" else {}
    settings = settings.model_copy(update={"labels": labels and tuple(labels), **pictured})
    samples = {
        PARTS[part]: _samples(rows.select_columns([x, y]), x, y, settings, part)
        for part, rows in parts.items()
    }
    return from_parts(samples, settings, name, settings.name, folder)


def source_fingerprint(settings: HuggingFaceData, base: Path) -> str:
    """SHA-256 of a folder's content, or of the commit on the Hub, and of what is read.

    Raises:
        DataError: the Hub cannot be asked which commit `revision` is.
    """
    what = settings.model_dump(mode="json", include={"name", "configuration", "x", "y"})
    folder = _folder(settings, base)
    if folder is not None:
        with Files(folder) as files:
            content = files.fingerprint()
    elif settings.revision and COMMIT.fullmatch(settings.revision):
        content = settings.revision
    else:
        content = _commit(settings)
    return hashlib.sha256((content + canonical_json(what)).encode()).hexdigest()


def _folder(settings: HuggingFaceData, base: Path) -> Path | None:
    """The local folder that `name` is, if it is one."""
    local = settings.name.startswith((".", "/"))
    return base / settings.name if local else None


def _read(settings: HuggingFaceData, base: Path) -> dict[str, Any]:
    """The parts that edgekd knows, by name."""
    try:
        import datasets
    except ImportError as error:
        raise DataError(
            "The library datasets is not installed.",
            where=f"data.source: huggingface; {error}",
            fix="pip install 'edgekd[huggingface]'",
        ) from error
    folder = _folder(settings, base)
    try:
        found = datasets.load_dataset(
            str(folder or settings.name),
            settings.configuration,
            revision=None if folder else settings.revision,
            streaming=settings.streaming,
        )
        parts = {part: found[part] for part in PARTS if part in found and _has_rows(found[part])}
    except Exception as error:  # of a dozen libraries below
        raise DataError(
            f"{settings.name} cannot be read: {type(error).__name__}: {error}",
            where="data.name",
            fix="look at its page on the Hub; without a connection, give a folder: ./folder",
        ) from error
    if "train" not in parts:
        raise DataError(
            "There is no training part.", where=f"{settings.name} has {some(list(found))}"
        )
    return parts


def _columns(settings: HuggingFaceData, features: Any) -> tuple[str, str]:
    """Names of the columns of samples and targets."""
    pictures = [name for name, kind in features.items() if type(kind).__name__ == "Image"]
    known = [name for name in TARGETS if name in features]
    x = settings.x or (pictures[0] if len(pictures) == 1 else None)
    y = settings.y or (known[0] if known else None)
    for field, name in (("x", x), ("y", y)):
        if name is None or name not in features:
            raise DataError(
                f"There is no column {name}."
                if name
                else f"It is not clear which column {field} is.",
                where=f"data.{field}; {settings.name} has {some(list(features), 12)}",
                fix=f"give data.{field}",
            )
    return str(x), str(y)


def _has_rows(part: Any) -> bool:
    """Whether a part holds anything; a stream does not know its length."""
    return next(iter(part), None) is not None


def _samples(
    part: Iterable[dict[str, Any]], x: str, y: str, settings: HuggingFaceData, name: str
) -> Iterator[Sample]:
    """The samples of a part as they come.

    Raises:
        DataError: one cannot be read.
    """
    rows = iter(part)
    for number in count():
        try:
            row = next(rows, None)
            if row is None:
                return
            colour, sample = _picture_or_numbers(row[x], settings)
        except Exception as error:  # of a dozen libraries below
            raise DataError(
                f"A sample cannot be read: {type(error).__name__}: {error}",
                where=f"{settings.name}, {name}, sample {number}",
                fix="leave it out; if the connection broke, run again",
            ) from error
        yield Sample(sample, row[y], str(number), colour)


def _picture_or_numbers(value: Any, settings: HuggingFaceData) -> tuple[bool | None, NDArray[Any]]:
    """Whether a picture has colour, and its pixels (3, H, W); or None, and numbers."""
    if not hasattr(value, "convert"):
        return None, np.asarray(value)
    pixels = as_array(value, settings.size, settings.resize)
    colour = pixels.ndim == COLOUR
    return colour, pixels.transpose(2, 0, 1) if colour else np.stack([pixels] * 3)


def _commit(settings: HuggingFaceData) -> str:
    try:
        from huggingface_hub import HfApi

        found = HfApi().dataset_info(settings.name, revision=settings.revision, timeout=20).sha
    except Exception as error:  # no connection, no such data set, no library
        raise DataError(
            f"The Hub does not say what {settings.name} is: {type(error).__name__}: {error}",
            where="data.name",
            fix="name the commit in data.revision: then nothing is asked; or give a folder: "
            "./folder",
        ) from error
    return str(found)
