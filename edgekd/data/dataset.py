"""A data set in memory or memory-mapped: three splits, what they look like, and a fingerprint."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from edgekd.data.unlabelled import with_unlabelled
from edgekd.errors import DataError
from edgekd.inputs import arguments, named
from edgekd.spec import Inputs, ModelSpec, NamedInputs, Task
from edgekd.store import atomic_file, parse_json, write_json

FORMAT_VERSION = 1
DATASET_FILE = "dataset.json"
SPLITS = ("train", "validation", "test")
UNLABELLED, UNLABELLED_IDS = "unlabelled_x.npy", "unlabelled_ids.npy"


@dataclass(frozen=True)
class Split:
    """Samples and their targets."""

    x: Any
    """An array (N, *shape), raw values: uint8 or float32; images channels first. For a model with
    several inputs, a dictionary of such arrays by name; codes of categories are int32."""
    y: NDArray[Any]
    """By the task: (N,) int64, the class of each sample; (N, L) float32, 1 where a label applies;
    (N, T) float32, numbers in raw units."""
    ids: NDArray[np.str_] | None = None
    """(N,), what names each sample in its source: a file's path in its folder, or a sample's
    position in its array; None where the source has no names."""

    def __len__(self) -> int:
        return len(self.y)


@dataclass(frozen=True)
class Dataset:
    """Three splits of one source."""

    name: str
    """Of the source, such as "digits" or the file's stem."""
    train: Split
    validation: Split
    test: Split
    spec: Inputs
    """What one sample looks like; mean and deviation are those of the training split."""
    labels: tuple[str, ...]
    """Names of the classes in their numbers' order; of the labels, or of the targets."""
    fingerprint: str
    """SHA-256 over arrays and labels, hexadecimal."""
    warnings: tuple[str, ...] = ()
    """What the user should know about the data, a sentence each."""
    task: Task = "classification"
    """What the targets are."""
    target_mean: tuple[float, ...] = ()
    """Of a regression's training targets, one a target; empty otherwise."""
    target_std: tuple[float, ...] = ()
    """Likewise, the deviation."""
    unlabelled: NDArray[Any] | None = None
    """(M, *shape), samples without labels, which the student learns of the teacher alone."""
    unlabelled_ids: NDArray[np.str_] | None = None
    """(M,), their names, as of a split."""

    @property
    def taught(self) -> Split:
        """What a student sees that learns from a teacher: the training samples and, after them,
        those without labels, whose targets are -1, or NaN."""
        if self.unlabelled is None:
            return self.train
        return with_unlabelled(self.train, self.unlabelled, self.unlabelled_ids, self.task)

    @property
    def classes(self) -> int:
        """Number of outputs: of classes, labels or targets."""
        return len(self.labels)

    def model_spec(self, name: str) -> ModelSpec:
        """What a model of this data takes and gives."""
        return ModelSpec(
            name=name,
            input=self.spec,
            labels=self.labels,
            task=self.task,
            target_mean=self.target_mean,
            target_std=self.target_std,
        )

    @property
    def splits(self) -> dict[str, Split]:
        """The splits by name."""
        return {name: getattr(self, name) for name in SPLITS}


def fingerprint(splits: Mapping[str, Split], labels: tuple[str, ...]) -> str:
    """SHA-256 over the labels and over type, shape and bytes of every array, hexadecimal."""
    digest = hashlib.sha256(json.dumps(labels).encode())
    for name, split in splits.items():
        arrays = [(f"{name}{'/' * bool(part)}{part}", x) for part, x in named(split.x).items()]
        for title, array in (*arrays, (name, split.y)):
            little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
            digest.update(f"{title} {little.dtype.str} {little.shape}".encode())
            digest.update(little.data.cast("B") if little.size else b"")
    return digest.hexdigest()


def save(dataset: Dataset, folder: Path) -> None:
    """Writes the arrays (.npy) and then `dataset.json` into `folder`, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, split in dataset.splits.items():
        for file, array in zip(_files(dataset.spec, name), arguments(split.x), strict=True):
            _save_array(folder / file, array)
        _save_array(folder / f"{name}_y.npy", split.y)
        if split.ids is not None:
            _save_array(folder / f"{name}_ids.npy", split.ids)
    if dataset.unlabelled is not None:
        _save_array(folder / UNLABELLED, dataset.unlabelled)
        if dataset.unlabelled_ids is not None:
            _save_array(folder / UNLABELLED_IDS, dataset.unlabelled_ids)
    description = {
        "format_version": FORMAT_VERSION,
        "name": dataset.name,
        "spec": dataset.spec.model_dump(mode="json"),
        "labels": dataset.labels,
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "unlabelled": 0 if dataset.unlabelled is None else len(dataset.unlabelled),
        "fingerprint": dataset.fingerprint,
        "warnings": dataset.warnings,
        "task": dataset.task,
        "target_mean": dataset.target_mean,
        "target_std": dataset.target_std,
    }
    write_json(folder / DATASET_FILE, description)


def load(folder: Path) -> Dataset:
    """Reads what `save` wrote; the arrays stay on disk until they are used (memory-mapped).

    Raises:
        DataError: a file is missing, broken, or does not belong to the others.
    """
    path = folder / DATASET_FILE
    try:
        raw = parse_json(path.read_text(encoding="utf-8"))
        if raw["format_version"] != FORMAT_VERSION:
            raise ValueError(f"format {raw['format_version']!r}, and this is {FORMAT_VERSION}")
        spec = TypeAdapter(Inputs).validate_python(raw["spec"])
        dataset = Dataset(
            name=raw["name"],
            spec=spec,
            labels=tuple(raw["labels"]),
            fingerprint=raw["fingerprint"],
            warnings=tuple(raw["warnings"]),
            task=_task(raw),
            target_mean=tuple(raw.get("target_mean", ())),
            target_std=tuple(raw.get("target_std", ())),
            unlabelled=_loaded(folder / UNLABELLED),
            unlabelled_ids=_loaded(folder / UNLABELLED_IDS),
            **{name: _load_split(folder, name, spec) for name in SPLITS},
        )
        if raw.get("unlabelled", 0) != (len(dataset.taught) - len(dataset.train)):
            raise ValueError(f"{UNLABELLED} is missing, or not whole")
        width = (dataset.classes,) if dataset.task in ("multilabel", "regression") else ()
        for name, split in dataset.splits.items():
            samples = raw["samples"][name]
            for part, x in zip(spec.inputs, arguments(split.x), strict=True):
                if x.shape != (samples, *part.shape):
                    raise ValueError(f"{name} has shape {x.shape}, expected {part.shape} each")
            if split.y.shape != (samples, *width):
                raise ValueError(f"{name} has targets {split.y.shape}, expected {samples}")
    except (OSError, ValueError, KeyError, TypeError, EOFError, ValidationError) as error:
        raise DataError(
            "A saved data set cannot be read.",
            where=f"{path}: {error}",
            fix="remove its folder: the data stage then makes it again",
        ) from error
    return dataset


def _task(raw: Mapping[str, Any]) -> Task:
    """The task; data that was saved before there were several is a classification's."""
    return TypeAdapter(Task).validate_python(raw.get("task", "classification"))


def _save_array(path: Path, array: NDArray[Any]) -> None:
    """Writes an array, or links to the file that it is mapped from: such files are replaced and
    never changed, so that one content may stand in the cache and in several run folders.
    """
    source = _whole_file(array)
    if source is not None:
        if path.exists() and path.samefile(source):
            return
        beside = path.with_name(f".{path.name}.{os.getpid()}.link")
        with contextlib.suppress(OSError):  # another disk, or a file system without links
            os.link(source, beside)
            os.replace(beside, path)
            return
    with atomic_file(path) as file:
        np.save(file, np.ascontiguousarray(array), allow_pickle=False)


def _whole_file(array: NDArray[Any]) -> Path | None:
    """The .npy file whose content this array is, if it is memory-mapped and whole."""
    if not isinstance(array, np.memmap) or array.mode != "r" or array.filename is None:
        return None
    path = Path(str(array.filename))
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError):
        return None
    same = found.shape == array.shape and found.dtype == array.dtype
    return path if same and array.flags.c_contiguous and array.nbytes == found.nbytes else None


def _files(spec: Inputs, split: str) -> list[str]:
    """The files of a split's samples: one, or one for each of several inputs."""
    if isinstance(spec, NamedInputs):
        return [f"{split}_x{number}.npy" for number in range(len(spec.inputs))]
    return [f"{split}_x.npy"]


def _load_split(folder: Path, name: str, spec: Inputs) -> Split:
    *x, y = (
        np.load(folder / file, mmap_mode="r", allow_pickle=False)
        for file in (*_files(spec, name), f"{name}_y.npy")
    )
    ids = _loaded(folder / f"{name}_ids.npy")
    if isinstance(spec, NamedInputs):
        return Split(dict(zip((part.name for part in spec.inputs), x, strict=True)), y, ids)
    return Split(x[0], y, ids)


def _loaded(path: Path) -> NDArray[Any] | None:
    return np.load(path, mmap_mode="r", allow_pickle=False) if path.is_file() else None
