"""The soft-label cache: the teacher's logits of every view of every training sample, once.

With augmentation the number of views is finite (`data.augment.views`), and a view is a function of
the seed, the sample and the view's number alone. So the cached logits are those of exactly the
pixels that the student is shown, as in FKD (Shen and Xing 2022), and the teacher never runs again.

    logits.npy        (K, N, C), float16
    softlabels.json   what it belongs to: data, augmentation, seed
or, where only the top k classes are kept,
    top.npy           (K, N, k), the classes, unsigned integers
    values.npy        (K, N, k + 1), float16: their logits and the rest's, at one temperature
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgekd.config.data import Augment
from edgekd.data.dataset import Split
from edgekd.distill.probe import TOLERANCE, probe
from edgekd.distill.toplogits import compact
from edgekd.errors import StageError
from edgekd.progress import SILENT, Progress
from edgekd.spec import Inputs
from edgekd.store import new_map, write_json
from edgekd.train import processes
from edgekd.train.answers import Answers
from edgekd.train.batches import Samples, normalised, varied
from edgekd.train.evaluate import logits_of
from edgekd.train.precision import device

LOGITS, TOP, VALUES, FACTS = "logits.npy", "top.npy", "values.npy", "softlabels.json"
BATCH = 512
"""Samples that the teacher sees at a time."""
Chunk = tuple[int, int, NDArray[np.floating]]
"""View, first sample, and logits (n, C) from there on."""


@dataclass(frozen=True)
class Kept:
    """How much of the answers a cache keeps."""

    top: int | None = None
    """So many classes a sample, the likeliest; None for all."""
    temperature: float = 1.0
    """With `top`, at which the rest's share is to be exact."""


EVERYTHING = Kept()


def make_soft_labels(
    teacher: nn.Module,
    train: Split,
    spec: Inputs,
    augment: Augment,
    seed: int,
    fingerprint: str,
    folder: Path,
    progress: Progress = SILENT,
    kept: Kept = EVERYTHING,
) -> None:
    """Writes the teacher's answers to all K views into `folder`. Of several processes each asks the
    teacher about a part of every batch, and the first one writes.

    Raises:
        StageError: a logit is not finite or too large for float16.
        NotFirst: the labels are made, and this process only helped.
    """
    where = device()
    chunks = _answers(teacher.to(where), train, spec, augment, seed, progress)
    if not processes.is_first():
        deque(chunks, maxlen=0)
        processes.only_first_goes_on()
    write_soft_labels(
        folder, chunks, (augment.view_count, len(train)), augment, seed, fingerprint, kept
    )
    processes.only_first_goes_on()


def _answers(
    teacher: nn.Module,
    train: Split,
    spec: Inputs,
    augment: Augment,
    seed: int,
    progress: Progress,
) -> Iterator[Chunk]:
    x: Samples = normalised(train, spec, device())
    index = torch.arange(len(train), device=device())
    for number in range(augment.view_count):
        for places in index.split(BATCH * processes.count()):
            own = places[processes.part(len(places))]
            logits = _of_slice(teacher, x, own, augment, seed, number, spec)
            yield number, int(places[0]), processes.gathered(logits, len(places)).cpu().numpy()
        progress.step(number + 1, augment.view_count, "soft labels")


def _of_slice(
    teacher: nn.Module,
    x: Samples,
    index: Tensor,
    augment: Augment,
    seed: int,
    number: int,
    spec: Inputs,
) -> Tensor:
    """Logits (n, C) of view `number` of some samples, of which there may be none."""
    asked = index if len(index) else torch.zeros(1, dtype=torch.int64, device=index.device)
    seen = varied(x, asked, augment, seed, number, spec)[0]
    return logits_of(teacher, seen)[: len(index)]


def write_soft_labels(
    folder: Path,
    chunks: Iterable[Chunk],
    size: tuple[int, int],
    augment: Augment,
    seed: int,
    fingerprint: str,
    kept: Kept = EVERYTHING,
) -> None:
    """Writes a cache as its parts come; it is whole when the facts are written, which are the last.

    Args:
        chunks: all samples of all views, in any order.
        size: views, or 1 where all views share the answers to the samples as they are; samples.

    Raises:
        StageError: a logit is not finite or too large for float16.
    """
    arrays: dict[str, Any] = {}
    for view, start, logits in chunks:
        parts = _parts(logits, kept)
        for name, part in parts.items():
            _refuse_infinite(part, start)
            if name not in arrays:
                shape = (*size, part.shape[1])
                arrays[name] = new_map(folder / name, part.dtype, shape)
            arrays[name][view, start : start + len(part)] = part
    for array in arrays.values():
        array.flush()
    facts = {
        "fingerprint": fingerprint,
        "augment": augment.model_dump(),
        "seed": seed,
        "shared": size[0] != augment.view_count,
        "top": kept.top,
        "temperature": kept.temperature if kept.top is not None else None,
    }
    write_json(folder / FACTS, facts)


def _parts(logits: NDArray[np.floating], kept: Kept) -> dict[str, NDArray[Any]]:
    """What is kept of logits (n, C), by file."""
    if kept.top is None or kept.top >= logits.shape[1]:
        return {LOGITS: _half(logits)}
    top, values = compact(logits, kept.top, kept.temperature)
    return {TOP: top, VALUES: _half(values)}


def _half(logits: NDArray[np.floating]) -> NDArray[np.float16]:
    with np.errstate(over="ignore"):  # what is too large becomes infinite, and is refused
        return np.asarray(logits).astype(np.float16)


def _refuse_infinite(part: NDArray[Any], start: int) -> None:
    if not np.isfinite(part).all():
        bad = start + int(np.argwhere(~np.isfinite(part))[0, 0])
        raise StageError(
            "The teacher's answer to a training sample is not a finite float16 number.",
            where=f"training sample {bad}",
            fix="train the teacher with weight decay or label smoothing, or check the sample",
        )


def load_soft_labels(
    folder: Path,
    train: Split,
    fingerprint: str,
    augment: Augment,
    seed: int,
    temperature: float | None = None,
) -> Answers:
    """The cached answers, memory-mapped: nothing is read before it is asked for.

    Args:
        temperature: of the method, which a cache of the top classes has to be made for.

    Raises:
        StageError: the cache belongs to other data, other augmentation or another temperature.
    """
    facts = json.loads((folder / FACTS).read_text())
    answers = opened(folder, temperature)
    views = 1 if facts["shared"] else augment.view_count
    fits = (
        facts["fingerprint"] == fingerprint
        and facts["augment"] == augment.model_dump()
        and facts["seed"] == seed
        and answers.values.shape[:2] == (views, len(train.y))
    )
    if not fits:
        raise StageError(
            "The soft-label cache was made for other data or other augmentation.",
            where=str(folder),
            fix="remove this folder: the cache is then made again",
        )
    return answers


def opened(folder: Path, temperature: float | None = None) -> Answers:
    """The answers of a cache, whatever it belongs to.

    Raises:
        StageError: it has the top classes at another temperature.
    """
    facts = json.loads((folder / FACTS).read_text())
    if (folder / LOGITS).is_file():
        return Answers(np.load(folder / LOGITS, mmap_mode="r", allow_pickle=False))
    if temperature != facts["temperature"]:
        raise StageError(
            f"The soft-label cache has the top {facts['top']} classes at another temperature.",
            where=f"{folder}: made for {facts['temperature']}, asked for {temperature}",
            fix="remove this folder: the cache is then made again",
        )
    return Answers(
        np.load(folder / VALUES, mmap_mode="r", allow_pickle=False),
        np.load(folder / TOP, mmap_mode="r", allow_pickle=False),
    )


def check_soft_labels(
    answers: Answers,
    teacher: nn.Module,
    train: Split,
    spec: Inputs,
    augment: Augment,
    seed: int,
) -> None:
    """Computes a few entries of the cache again.

    Raises:
        StageError: they differ: the cache is not this teacher's.
    """
    some = probe(train, spec, augment, seed, len(answers))
    fresh = logits_of(teacher.to(device()), some.x).cpu()
    cached, top = answers.at(some.view, some.index)
    scale = float(fresh.abs().max())
    if top is not None:
        fresh, cached = fresh.gather(1, top), cached[:, : top.shape[1]]
    wrong = (fresh - cached).abs().amax(1) > TOLERANCE * scale
    if wrong.any():
        raise StageError(
            "The soft-label cache does not hold this teacher's answers.",
            where=some.where(wrong),
            fix="run again with --from softlabels",
        )
