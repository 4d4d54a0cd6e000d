"""A few entries of a cache, to be computed again: whether it is this teacher's."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from edgekd.config.data import Augment
from edgekd.data.dataset import Split
from edgekd.spec import Inputs
from edgekd.train.batches import Samples, normalised, varied
from edgekd.train.precision import device

PROBES = 16
"""Entries that are computed again."""
TOLERANCE = 0.05
"""Largest difference of a probed number, relative to the largest: float16 and other batch sizes
move a logit by about a thousandth."""


@dataclass(frozen=True)
class Probe:
    """Some training samples in one of their views."""

    view: int
    index: Tensor
    """Of the samples, ascending."""
    x: Samples
    """The samples as that view shows them, normalised, on the device that computes."""

    def where(self, wrong: Tensor) -> str:
        """The first of the probed samples for which `wrong` holds, for an error."""
        return f"view {self.view}, training sample {int(self.index[wrong][0])}"


def probe(train: Split, spec: Inputs, augment: Augment, seed: int, views: int) -> Probe:
    """The same few samples and view for the same seed."""
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(len(train), generator=generator)[:PROBES].sort().values
    view = int(torch.randint(views, (1,), generator=generator))
    where = device()
    x, _ = varied(normalised(train, spec, where), index.to(where), augment, seed, view, spec)
    return Probe(view, index, x)
