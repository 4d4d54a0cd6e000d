"""The cache of feature maps: what the methods need of the teacher's maps, for every view, once.

The views are those of the soft-label cache, so that a step of a method on feature maps needs no
pass of the teacher either. A method says what it needs of a map (`FeaturePart.needed`): all of it,
its mean over the positions, or where it is strong; only that is kept.

    maps-0-0.npy      (K, N, ...), float16: of the first method's first pair of layers, and so on
    features.json     what it belongs to: data, augmentation, seed, layers
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd import inputs
from edgekd.config.data import Augment
from edgekd.data.dataset import Split
from edgekd.distill.features import FeaturePart
from edgekd.distill.probe import TOLERANCE, probe
from edgekd.distill.taps import Taps
from edgekd.errors import StageError
from edgekd.progress import SILENT, Progress
from edgekd.spec import Inputs
from edgekd.store import new_map, read_json, write_json
from edgekd.train.batches import normalised, varied
from edgekd.train.precision import device

FACTS = "features.json"
BATCH = 256
"""Samples that the teacher sees at a time."""
BYTES = 2
"""Of a float16."""
SPARE = 64 << 20
"""Bytes that stay free on the disk."""


@dataclass(frozen=True)
class KeptMaps:
    """What methods need of the teacher's maps. The arrays may be memory-mapped: what is asked for
    is read, and nothing else."""

    arrays: tuple[tuple[NDArray[Any], ...], ...]
    """By method and pair of layers, each (K, N, ...)."""

    def at(self, epoch: int, index: Tensor) -> list[list[Tensor]]:
        """By method and pair: (B, ...), float32, of the samples at `index` in the view of an epoch
        (from 0), where the index is."""
        place = index.cpu().numpy()
        return [
            [
                torch.from_numpy(np.asarray(array[epoch % len(array)][place], np.float32)).to(
                    index.device
                )
                for array in arrays
            ]
            for arrays in self.arrays
        ]

    @property
    def shapes(self) -> list[list[tuple[int, ...]]]:
        """By method and pair, without views and samples."""
        return [[array.shape[2:] for array in arrays] for arrays in self.arrays]


def on_maps(parts: Iterable[nn.Module]) -> list[FeaturePart]:
    """The methods on feature maps of a sum, in their order."""
    return [part for part in parts if isinstance(part, FeaturePart)]


def cache_bytes(parts: Sequence[FeaturePart], views: int, samples: int) -> int:
    """How large a cache for these methods is."""
    numbers = sum(math.prod(shape) for part in parts for shape in part.needed_shapes())
    return BYTES * views * samples * numbers


def check_space(size: int, folder: Path) -> None:
    """Refuses a cache that the disk has no room for.

    Raises:
        StageError: it has not.
    """
    free = shutil.disk_usage(folder).free
    if size + SPARE > free:
        raise StageError(
            f"The teacher's feature maps take {size / 1e9:,.2f} GB as float16, and the disk has "
            f"{free / 1e9:,.2f} GB free.",
            where="softlabels.features",
            fix="leave softlabels.features out: the teacher then runs beside the student; or name "
            "fewer or deeper layers (method.layers), take fewer data.augment.views, or write "
            "elsewhere with --runs",
        )


def make_features(
    teacher: nn.Module,
    parts: Sequence[FeaturePart],
    train: Split,
    spec: Inputs,
    augment: Augment,
    seed: int,
    fingerprint: str,
    folder: Path,
    progress: Progress = SILENT,
) -> None:
    """Writes what the methods need of the teacher's maps of all K views into `folder`; it is whole
    when the facts are written, which are the last.

    Raises:
        StageError: the disk has no room, or a number is not finite or too large for float16.
    """
    views, samples = augment.view_count, len(train)
    check_space(cache_bytes(parts, views, samples), folder)
    arrays = [
        [
            new_map(folder / _name(p, n), np.float16, (views, samples, *shape))
            for n, shape in enumerate(part.needed_shapes())
        ]
        for p, part in enumerate(parts)
    ]
    for view, start, maps in _maps(teacher, parts, train, spec, augment, seed, progress):
        for kept, found in zip(arrays, maps, strict=True):
            for array, map_ in zip(kept, found, strict=True):
                array[view, start : start + len(map_)] = _half(map_, start)
    for kept in arrays:
        for array in kept:
            array.flush()
    write_json(folder / FACTS, _facts(parts, augment, seed, fingerprint))


def load_features(
    folder: Path,
    parts: Sequence[FeaturePart],
    samples: int,
    fingerprint: str,
    augment: Augment,
    seed: int,
) -> KeptMaps:
    """The kept maps, memory-mapped.

    Raises:
        StageError: the cache belongs to other data, other augmentation or other layers.
    """
    shapes = [part.needed_shapes() for part in parts]
    if read_json(folder / FACTS) == _facts(parts, augment, seed, fingerprint):
        found = KeptMaps(
            tuple(
                tuple(
                    np.load(folder / _name(p, n), mmap_mode="r", allow_pickle=False)
                    for n in range(len(some))
                )
                for p, some in enumerate(shapes)
            )
        )
        sizes = {array.shape[:2] for arrays in found.arrays for array in arrays}
        if found.shapes == shapes and sizes == {(augment.view_count, samples)}:
            return found
    raise StageError(
        "The cache of feature maps was made for other data, augmentation or layers.",
        where=str(folder),
        fix="remove this folder: the cache is then made again",
    )


def check_features(
    kept: KeptMaps,
    teacher: nn.Module,
    parts: Sequence[FeaturePart],
    train: Split,
    spec: Inputs,
    augment: Augment,
    seed: int,
) -> None:
    """Computes a few entries of the cache again.

    Raises:
        StageError: they differ: the cache is not this teacher's.
    """
    some = probe(train, spec, augment, seed, augment.view_count)
    fresh = _needed(teacher.to(device()), parts, some.x)
    for ours, theirs in zip(kept.at(some.view, some.index), fresh, strict=True):
        for old, new in zip(ours, theirs, strict=True):
            now = new.cpu()
            wrong = (now - old).abs().flatten(1).amax(1) > TOLERANCE * float(now.abs().max())
            if wrong.any():
                raise StageError(
                    "The cache of feature maps does not hold this teacher's maps.",
                    where=some.where(wrong),
                    fix="run again with --from features",
                )


def _maps(
    teacher: nn.Module,
    parts: Sequence[FeaturePart],
    train: Split,
    spec: Inputs,
    augment: Augment,
    seed: int,
    progress: Progress,
) -> Iterator[tuple[int, int, list[list[Tensor]]]]:
    """View, first sample, and what the methods need of the maps from there on."""
    where = device()
    teacher = teacher.to(where)
    x = normalised(train, spec, where)
    index = torch.arange(len(train), device=where)
    for view in range(augment.view_count):
        for places in index.split(BATCH):
            seen = varied(x, places, augment, seed, view, spec)[0]
            yield view, int(places[0]), _needed(teacher, parts, seen)
        progress.step(view + 1, augment.view_count, "feature maps")


@torch.no_grad()
def _needed(teacher: nn.Module, parts: Sequence[FeaturePart], x: Any) -> list[list[Tensor]]:
    """What each method needs of the teacher's maps of a batch."""
    teacher.eval()
    with Taps(teacher, {layer for part in parts for layer in part.teacher_layers}) as taps:
        inputs.call(teacher, x)
        found = taps.take()
    return [part.needed_of(found) for part in parts]


def _half(map_: Tensor, start: int) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        half = map_.cpu().numpy().astype(np.float16)
    if not np.isfinite(half).all():
        bad = start + int(np.argwhere(~np.isfinite(half))[0, 0])
        raise StageError(
            "The teacher's feature map of a training sample is not of finite float16 numbers.",
            where=f"training sample {bad}",
            fix="name a layer after a normalisation, or leave softlabels.features out",
        )
    return half


def _name(part: int, pair: int) -> str:
    return f"maps-{part}-{pair}.npy"


def _facts(
    parts: Sequence[FeaturePart], augment: Augment, seed: int, fingerprint: str
) -> dict[str, Any]:
    return {
        "fingerprint": fingerprint,
        "augment": augment.model_dump(mode="json"),
        "seed": seed,
        "methods": [
            {
                "name": part.name,
                "layers": list(part.teacher_layers),
                "shapes": [list(shape) for shape in part.needed_shapes()],
            }
            for part in parts
        ],
    }
