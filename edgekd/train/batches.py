"""Batches of a data set: a small one lives in memory as one tensor, a large one is streamed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from edgekd import inputs
from edgekd.config.data import Augment
from edgekd.data.augment import view
from edgekd.data.dataset import Split
from edgekd.data.mixing import Pairs, blend, pairs
from edgekd.data.unlabelled import Joined
from edgekd.spec import Inputs, InputSpec, NamedInputs
from edgekd.train import processes
from edgekd.train.answers import Answers
from edgekd.train.prefetch import prefetched


@dataclass(frozen=True)
class Batch:
    """What one step trains on."""

    x: Any
    """(B, *shape), normalised, augmented and perhaps mixed; of several inputs, a dictionary of such
    tensors. In one of several processes its slice of them; all the rest is the whole batch's."""
    y: Tensor
    """(B,), int64; of mixed samples, `share` of the target."""
    index: Tensor
    """(B,), where the samples stand in the split."""
    teacher: Tensor | None = None
    """(B, C), the teacher's logits for exactly these views, float32; (B, k + 1) with `top`."""
    top: Tensor | None = None
    """(B, k), the classes that `teacher` has the logits of; its last column is that of the rest."""
    partner: Tensor | None = None
    """As y: the targets of what is mixed in (mixup, CutMix); None where nothing is."""
    share: Tensor | None = None
    """(B,), float32: how much of the target is y; the rest is `partner`."""


LARGE = 64 << 20
"""A split that would take more bytes than this as float32 is streamed."""


class Stored:
    """A large split that stays as it is stored, memory-mapped or not, and is normalised a batch at
    a time.
    """

    def __init__(self, raw: NDArray[Any] | Joined, spec: InputSpec, device: torch.device) -> None:
        self.raw = raw if isinstance(raw, Joined) else np.asarray(raw)
        self.spec = spec
        self.device = device

    def __len__(self) -> int:
        return len(self.raw)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        """The normalised samples (B, *shape) at `index`."""
        place = index if isinstance(index, slice) else index.cpu().numpy()
        return _as_seen(self.raw[place], self.spec, self.device)

    def split(self, size: int) -> Iterator[Tensor]:
        """All samples in their order, `size` at a time, the next ones while one is used."""
        starts = range(0, len(self), size)
        return prefetched(self[slice(start, start + size)] for start in starts)


Samples = Tensor | Stored | dict[str, Tensor | Stored]


def normalised(split: Split, spec: Inputs, device: torch.device) -> Samples:
    """The whole split as the network sees it: (N, *shape), float32, images channels last. A large
    one gives each batch so when it is asked for, and stays where it is, such as on disk.
    """
    if isinstance(spec, NamedInputs):
        return {part.name: _kept(split.x[part.name], part, device) for part in spec.inputs}
    return _kept(split.x, spec, device)


def _kept(raw: NDArray[Any] | Joined, spec: InputSpec, device: torch.device) -> Tensor | Stored:
    if 4 * raw.size > LARGE:
        return Stored(raw, spec, device)
    return _as_seen(np.asarray(raw), spec, device)


def _as_seen(raw: NDArray[Any], spec: InputSpec, device: torch.device) -> Tensor:
    x = torch.from_numpy(spec.normalise(raw)).to(device)
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x


def batch_bounds(n: int, size: int) -> list[tuple[int, int]]:
    """Start and end of each batch; a last batch of one is joined to the one before it, because
    batch normalisation cannot train on a single sample.
    """
    starts = list(range(0, n, size))
    if len(starts) > 1 and n - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


def epoch_order(n: int, seed: int, epoch: int) -> Tensor:
    """The samples' order in an epoch, from the seed and the epoch alone."""
    generator = torch.Generator().manual_seed(mix(seed, epoch))
    return torch.randperm(n, generator=generator)


def mix(seed: int, number: int) -> int:
    """One 63-bit seed from two numbers, without the collisions that a sum would have."""
    return int(np.random.SeedSequence([seed, number]).generate_state(1, np.uint64)[0] >> 1)


def varied(
    x: Samples, index: Tensor, augment: Augment, seed: int, number: int, spec: Inputs
) -> tuple[Any, Pairs | None]:
    """View `number` of the samples at `index`, and what was mixed into them.

    Everything that shows views to a network comes here: the loop to its student and the soft-label
    cache to the teacher see the same pixels. Several inputs are shown as they are.
    """
    if isinstance(x, dict) or isinstance(spec, NamedInputs):
        return inputs.take(x, index), None
    samples = view(x[index], index, augment, seed, number, spec)
    if number == 0 or not augment.mixes:
        return samples, None
    mixed = pairs(index, len(x), spec.shape, augment, seed, number)
    other = view(x[mixed.index], mixed.index, augment, seed, number, spec)
    return blend(samples, other, mixed), mixed


def training_batches(
    x: Samples,
    y: Tensor,
    order: Tensor,
    size: int,
    augment: Augment,
    augment_seed: int,
    view_number: int,
    teacher: Answers | None,
    spec: Inputs,
) -> Generator[Batch, None, None]:
    """The batches of one epoch. Where they take work, because samples are varied or streamed, the
    next ones are made while one is trained on.

    Args:
        x: (N, *shape), normalised; or several inputs by name.
        y: (N,).
        order: (N,), the epoch's permutation.
        view_number: which view of every sample this epoch trains on.
        teacher: its answers to all views, or None.
        spec: of the samples, which some variations need.
    """

    def make(start: int, end: int) -> Batch:
        index = order[start:end]
        own = index[processes.part(len(index))]
        samples, mixed = varied(x, own, augment, augment_seed, view_number, spec)
        targets, top = teacher.at(view_number, index) if teacher is not None else (None, None)
        batch = Batch(samples, y[index], index, targets, top)
        if mixed is None:
            return batch
        if len(own) < len(index):
            shape = samples.shape[1:]
            mixed = pairs(index, len(x), shape, augment, augment_seed, view_number)
        return replace(batch, partner=y[mixed.index], share=mixed.share)

    batches = (make(start, end) for start, end in batch_bounds(len(order), size))
    works = isinstance(x, Stored) or (augment.active and view_number > 0)
    return prefetched(batches) if works else batches
