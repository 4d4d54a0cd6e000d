"""Data sets that the library `datasets` reads: of the Hugging Face Hub, or of local folders."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import HuggingFaceData
from edgekd.data.archive import Files
from edgekd.data.arrays import from_arrays
from edgekd.data.checks import some
from edgekd.data.dataset import Dataset
from edgekd.data.pictures import as_array
from edgekd.errors import DataError
from edgekd.store import canonical_json

PARTS = {"train": "_train", "validation": "_val", "valid": "_val", "val": "_val", "test": "_test"}
TARGETS = ("label", "labels", "target", "fine_label")
PLANE = 2
"""Dimensions of a grey picture."""
COMMIT = re.compile(r"[0-9a-f]{40}")


def load(settings: HuggingFaceData, base: Path) -> Dataset:
    """The data set as arrays. No code of the Hub is run: `datasets` reads data files only.

    Raises:
        DataError: the library or the data set is not there, or a column cannot be used.
    """
    parts = _read(settings, base)
    first = next(iter(parts.values()))
    x, y = _columns(settings, first.features)
    names = getattr(first.features[y], "names", None)
    arrays: dict[str, NDArray[Any]] = {}
    for part, table in parts.items():
        place = f"{settings.name}, {part}"
        arrays[f"x{PARTS[part]}"] = _samples(table[x], settings, place)
        arrays[f"y{PARTS[part]}"] = np.asarray(table[y][:])
    if names and settings.labels is None:
        settings = settings.model_copy(update={"labels": tuple(names)})
    if type(first.features[x]).__name__ == "Image":
        settings = settings.model_copy(update={"layout": "NHWC"})
    return from_arrays(arrays, settings, Path(settings.name).name, settings.name)


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
        )
    except Exception as error:  # of a dozen libraries below
        raise DataError(
            f"{settings.name} cannot be read: {type(error).__name__}: {error}",
            where="data.name",
            fix="look at its page on the Hub; without a connection, give a folder: ./folder",
        ) from error
    parts = {part: found[part] for part in PARTS if part in found and len(found[part])}
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


def _samples(column: Iterable[Any], settings: HuggingFaceData, place: str) -> NDArray[Any]:
    """Samples (N, ...): of pictures (N, H, W, C)."""
    made = []
    for number, value in enumerate(column):
        try:
            is_picture = hasattr(value, "convert")
            made.append(as_array(value, settings.size, settings.resize) if is_picture else value)
        except (OSError, ValueError) as error:
            raise DataError(
                "A picture cannot be read.", where=f"{place}, sample {number}: {error}"
            ) from error
    if len({np.ndim(sample) for sample in made}) > 1:  # grey pictures among colour ones
        made = [np.stack([one] * 3, 2) if np.ndim(one) == PLANE else one for one in made]
    shapes = sorted({np.shape(sample) for sample in made})
    if len(shapes) > 1:
        raise DataError(
            f"The samples differ in shape: {some(shapes, 3)}.",
            where=place,
            fix="set data.size: [height, width] for pictures; lists must have one length",
        )
    samples = np.asarray(made)
    return samples[:, None] if samples.ndim == 1 else samples


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
