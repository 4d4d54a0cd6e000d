"""What distilling costs: an epoch from cached soft labels against one on labels alone, and against
one that runs the teacher on every batch.

All three train the same ResNet-8 with the same batches, variations and seed; ResNet-56, the
teacher, takes ten times its multiplications. Its weights are random: what it answers costs the
same. The arms take turns, an epoch each, in one process; counted is the training part of an epoch,
and ratios are taken round by round.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import Row, finish, interval, number, options, started
from benchmarks.spine.arms import limited
from benchmarks.spine.cifar import as_dataset
from edgekd.config.data import Augment
from edgekd.config.methods import KDSettings, LabelsSettings
from edgekd.config.stages import ModelSettings
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Dataset, Split, load
from edgekd.distill.losses import make_objective
from edgekd.distill.softlabels import load_soft_labels, make_soft_labels
from edgekd.models.build import build
from edgekd.models.count import macs
from edgekd.train.answers import Answers
from edgekd.train.batches import Batch
from edgekd.train.loop import fit

STUDENT, TEACHER = ModelSettings(name="resnet8"), ModelSettings(name="resnet56")
ARMS = ("labels", "cached", "live")
CACHED, LIVE = 1.05, 3.0
VALIDATION = 256
AUGMENT = Augment(shift=4, flip=True, views=1)


def main() -> None:
    """Measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="cifar10-jpeg.zip")
    parser.add_argument("--rounds", type=int, default=7, help="epochs of each arm")
    parser.add_argument("--train-samples", type=int, default=4096)
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: its figures say nothing"
    )
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.rounds, chosen.train_samples = 1, 256
    start = started()
    data = limited(load(as_dataset(chosen.data, chosen.work)), chosen.train_samples)
    few = Split(data.validation.x[:VALIDATION], data.validation.y[:VALIDATION])
    data = replace(data, validation=few)  # which is not counted
    figures = measured(data, chosen)
    finish(
        "An epoch of distillation",
        start,
        runs=f"{chosen.rounds} epochs of each arm, taking turns, on {len(data.train):,} samples",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
    )


def measured(data: Dataset, chosen: argparse.Namespace) -> dict[str, Any]:
    """Seconds of every epoch, and the ratios."""
    torch.manual_seed(0)
    teacher = build(TEACHER, data.spec, data.classes).eval()
    teacher.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        make_soft_labels(teacher, data.train, data.spec, AUGMENT, 0, data.fingerprint, Path(folder))
        once = time.perf_counter() - began
        cached = load_soft_labels(Path(folder), data.train, data.fingerprint, AUGMENT, 0)
        seconds: dict[str, list[float]] = {arm: [] for arm in ARMS}
        for arm in ARMS:
            epoch(arm, data, teacher, cached)  # the first of each warms up
        for number_ in range(chosen.rounds):
            for arm in ARMS if number_ % 2 == 0 else reversed(ARMS):
                seconds[arm].append(epoch(arm, data, teacher, cached))
                print(f"round {number_ + 1}, {arm}: {seconds[arm][-1]:.2f} s", file=sys.stderr)
    return {
        "seconds": seconds,
        "soft_labels_seconds_a_view": once,
        "macs": {
            "student": macs(build(STUDENT, data.spec, data.classes), data.spec),
            "teacher": macs(teacher, data.spec),
        },
        "cached_over_labels": ratio(seconds["cached"], seconds["labels"]),
        "live_over_cached": ratio(seconds["live"], seconds["cached"]),
    }


def epoch(arm: str, data: Dataset, teacher: nn.Module, answers: Answers) -> float:
    """Seconds of the training part of one epoch."""
    torch.manual_seed(1)
    student = build(STUDENT, data.spec, data.classes)
    kd = make_objective(KDSettings())

    def live(outputs: Tensor, batch: Batch, number: int) -> tuple[Tensor, dict[str, Tensor]]:
        with torch.no_grad():
            fresh = teacher(batch.x)
        return kd(outputs, replace(batch, teacher=fresh), number)

    history = fit(
        student,
        data.train,
        data.validation,
        data.spec,
        TrainSettings(epochs=1, batch_size=128, optimizer="sgd", learning_rate=0.05),
        {"labels": make_objective(LabelsSettings()), "cached": kd, "live": live}[arm],
        seed=1,
        augment=AUGMENT,
        augment_seed=0,
        teacher_logits=answers if arm == "cached" else None,
    )
    return history.epochs[0].seconds


def ratio(left: list[float], right: list[float]) -> dict[str, Any]:
    """Of the seconds, round by round."""
    return interval([a / b for a, b in zip(left, right, strict=True)])


def rows(f: dict[str, Any]) -> list[Row]:
    """The table."""
    times = f["macs"]["teacher"] / f["macs"]["student"]
    cached, live = f["cached_over_labels"], f["live_over_cached"]
    return [
        Row("multiplications of the teacher over the student's", f"{times:.1f}"),
        Row(
            "epoch from cached soft labels over one on labels alone, mean of rounds",
            number(cached),
            f"≤ {CACHED}",
            cached["mean"] <= CACHED,
        ),
        Row(
            "epoch that runs the teacher on every batch over one from cached soft labels",
            number(live, ".2f"),
            f"≥ {LIVE:g}",
            live["mean"] >= LIVE,
        ),
        Row(
            "making the soft labels of a view, once, over an epoch from them",
            f"{f['soft_labels_seconds_a_view'] / np.mean(f['seconds']['cached']):.2f}",
            "stated",
        ),
    ]


if __name__ == "__main__":
    main()
