"""Asking deployed files about samples, as they are and shifted, for as long as there is time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd import inputs
from edgekd.data.dataset import Dataset, Split
from edgekd.progress import Progress
from edgekd.quality import shifts as library
from edgekd.quality.robustness import Outputs, Shifted
from edgekd.quality.shifts import Shift

LEAST = 100
"""Samples that even a slow model is asked about."""
FITTED_ON = 1000
"""Validation samples that a temperature is fitted to, at most."""
CHUNK = 256
"""Samples that are shifted at a time."""
TRIAL = 16
"""Samples that tell how slow the files are."""
Index = NDArray[np.int64]
"""(N,), where samples stand in their split."""


@dataclass(frozen=True)
class File:
    """A deployed file, ready to answer."""

    role: str
    """teacher, float32 or int8."""
    stage: str
    """teacher or student."""
    precision: str
    path: str
    """Relative to the run folder."""
    runtime: str
    answer: Callable[[Any], Outputs]
    """Outputs (N, C) of normalised samples."""


@dataclass(frozen=True)
class Chosen:
    """The samples that there is time for."""

    clean: Index
    """Of the test split."""
    shifted: Index
    """The first ones of `clean`."""
    validation: Index
    """Of the validation split."""


def choose(
    files: Sequence[File], data: Dataset, shifts: int, *, samples: int, seconds: float, seed: int
) -> Chosen:
    """A seeded choice of samples: half of the time goes to shifts; of the other half, two thirds
    to clean test samples and one to validation samples.

    Args:
        shifts: how many there are.
        samples: of the test split, at most.
        seconds: the time; at least 100 samples are chosen in any case, or all that there are.
    """
    test = _order(len(data.test), seed)[:samples]
    validation = _order(len(data.validation), seed)[:FITTED_ON]
    trial = _samples(data.test, test[:TRIAL], data)
    for file in files:  # the first answer is always slow
        file.answer(inputs.take(trial, slice(0, 1)))
    started = time.perf_counter()
    for file in files:
        file.answer(trial)
    each = (time.perf_counter() - started) / len(test[:TRIAL])

    def within(share: float, most: int, passes: int) -> int:
        return min(most, max(LEAST, int(share * seconds / each / max(1, passes))))

    clean = test[: within(1 / 3, len(test), 1)]
    return Chosen(
        clean=clean,
        shifted=clean[: within(1 / 2, len(clean), shifts)],
        validation=validation[: within(1 / 6, len(validation), 1)],
    )


def _order(available: int, seed: int) -> Index:
    return np.random.default_rng(seed).permutation(available)


def ask(files: Sequence[File], split: Split, index: Index, data: Dataset) -> dict[str, Outputs]:
    """Outputs by role for samples as they are."""
    return _gather(files, (_samples(split, part, data) for part in _parts(index)))


def ask_shifted(
    files: Sequence[File],
    data: Dataset,
    index: Index,
    shifts: Sequence[Shift],
    clean: Mapping[str, Outputs],
    seed: int,
    progress: Progress,
) -> dict[str, Shifted]:
    """Outputs by role for the same test samples under every shift.

    Args:
        clean: outputs by role for samples of which those at `index` are the first.
    """
    under: dict[str, dict[Shift, Outputs]] = {file.role: {} for file in files}
    for number, shift in enumerate(shifts, start=1):
        for role, outputs in _gather(files, _shifted(data, index, shift, seed)).items():
            under[role][shift] = outputs
        progress.step(number, len(shifts), "shifts")
    return {role: Shifted(clean[role][: len(index)], found) for role, found in under.items()}


def _shifted(data: Dataset, index: Index, shift: Shift, seed: int) -> Iterator[Any]:
    for part in _parts(index):
        raw = inputs.take(data.test.x, part)
        yield data.spec.normalise(library.apply(raw, part.tolist(), data.spec, shift, seed))


def _gather(files: Sequence[File], samples: Iterator[Any]) -> dict[str, Outputs]:
    parts: dict[str, list[Outputs]] = {file.role: [] for file in files}
    for x in samples:
        for file in files:
            parts[file.role].append(file.answer(x))
    return {role: np.concatenate(found) for role, found in parts.items()}


def _samples(split: Split, index: Index, data: Dataset) -> Any:
    return data.spec.normalise(inputs.take(split.x, index))


def _parts(index: Index) -> list[Index]:
    return [index[start : start + CHUNK] for start in range(0, len(index), CHUNK)]
