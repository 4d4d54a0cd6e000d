"""The soft-label cache: the teacher's logits of every view of every training sample, once.

With augmentation the number of views is finite (`data.augment.views`), and a view is a function of
the seed, the sample and the view's number alone. So the cached logits are those of exactly the
pixels that the student is shown, as in FKD (Shen and Xing 2022), and the teacher never runs again.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.config.data import Augment
from edgekd.data.dataset import Split
from edgekd.errors import StageError
from edgekd.progress import SILENT, Progress
from edgekd.spec import Inputs
from edgekd.store import write_json
from edgekd.train.batches import normalised, varied
from edgekd.train.evaluate import logits_of
from edgekd.train.precision import device

LOGITS, FACTS = "logits.npy", "softlabels.json"
BATCH = 512
"""Samples that the teacher sees at a time."""
PROBES = 16
"""Entries that are computed again when a cache is opened."""
PROBE_TOLERANCE = 0.05
"""Largest difference of a probed logit, relative to the logits' largest: float16 and other batch
sizes move a logit by about a thousandth."""


def make_soft_labels(
    teacher: nn.Module,
    train: Split,
    spec: Inputs,
    augment: Augment,
    seed: int,
    fingerprint: str,
    folder: Path,
    progress: Progress = SILENT,
) -> None:
    """Writes the teacher's logits, float16 (K, N, C), of all K views into `folder`.

    Raises:
        StageError: a logit is not finite or too large for float16.
    """
    where = device()
    x = normalised(train, spec, where)
    teacher = teacher.to(where)
    index = torch.arange(len(train), device=where)
    views: list[Tensor] = []
    for number in range(augment.view_count):
        answers = [
            logits_of(teacher, varied(x, places, augment, seed, number, spec)[0]).cpu()
            for places in index.split(BATCH)
        ]
        views.append(torch.cat(answers))
        progress.step(number + 1, augment.view_count, "soft labels")
    logits = torch.stack(views)
    if not torch.isfinite(logits.half()).all():
        bad = int((~torch.isfinite(logits.half())).nonzero()[0, 1])
        raise StageError(
            "The teacher's answer to a training sample is not a finite float16 number.",
            where=f"training sample {bad}",
            fix="train the teacher with weight decay or label smoothing, or check the sample",
        )
    np.save(folder / LOGITS, logits.half().numpy(), allow_pickle=False)
    facts = {"fingerprint": fingerprint, "augment": augment.model_dump(), "seed": seed}
    write_json(folder / FACTS, facts)


def load_soft_labels(
    folder: Path, train: Split, fingerprint: str, augment: Augment, seed: int
) -> Tensor:
    """The cached logits (K, N, C), float16.

    Raises:
        StageError: the cache belongs to other data or other augmentation.
    """
    facts = json.loads((folder / FACTS).read_text())
    logits = torch.from_numpy(np.load(folder / LOGITS, allow_pickle=False))
    fits = (
        facts["fingerprint"] == fingerprint
        and facts["augment"] == augment.model_dump()
        and facts["seed"] == seed
        and logits.shape[:2] == (augment.view_count, len(train.y))
    )
    if not fits:
        raise StageError(
            "The soft-label cache was made for other data or other augmentation.",
            where=str(folder),
            fix="remove this folder: the cache is then made again",
        )
    return logits


def check_soft_labels(
    logits: Tensor,
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
    views, samples, _ = logits.shape
    generator = torch.Generator().manual_seed(seed)
    index = torch.randperm(samples, generator=generator)[:PROBES].sort().values
    number = int(torch.randint(views, (1,), generator=generator))
    where = device()
    x, _ = varied(normalised(train, spec, where), index.to(where), augment, seed, number, spec)
    fresh = logits_of(teacher.to(where), x).cpu()
    cached = logits[number][index].float()
    scale = float(fresh.abs().max())
    wrong = (fresh - cached).abs().amax(1) > PROBE_TOLERANCE * scale
    if wrong.any():
        raise StageError(
            "The soft-label cache does not hold this teacher's answers.",
            where=f"view {number}, training sample {int(index[wrong][0])}",
            fix="run again with --from softlabels",
        )
