"""Distil, prune, or both? Four ways to an int8 file of the same size.

    python -m benchmarks.compression.equal_bytes --data fsdd.zip --tier minutes
    python -m benchmarks.compression.equal_bytes --data cifar10-jpeg.zip --tier hours

A small student, and one of twice its width that is pruned until its int8 .tflite is no larger; each
trained on labels alone, and from one teacher. All have the same number of epochs: what the pruned
ones recover in, the small ones are trained longer. Then all are trained through the quantizer with
the loss that they had. A seed gives the networks' first weights, the samples' order, the variations
and the teacher; seeds come one after the other, and the result is written after each, so that a run
that ends early has whole ones. What is trained stays in the work folder, and is not trained again.
"""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import edgekd
from benchmarks.common import (
    STUDENT,
    Row,
    differences,
    finish,
    interval,
    mean_percent,
    of,
    options,
    points,
    started,
)
from benchmarks.compression.picture import draw
from benchmarks.distillation.arms import data_set, shared
from benchmarks.distillation.methods import verdict
from benchmarks.spine.cifar import as_npz
from edgekd.report.terminal import PlainProgress
from edgekd.results import Summary


@dataclass(frozen=True)
class Arm:
    """A way to the file."""

    label: str
    method: str
    """`distill.method`."""
    pruned: bool


ALONE = Arm("small student, on labels", "labels", False)
DISTILLED = Arm("small student, distilled", "kd", False)
PRUNED = Arm("twice as wide, pruned, on labels", "labels", True)
BOTH = Arm("twice as wide, distilled, pruned while distilling", "kd", True)
ARMS = (ALONE, DISTILLED, PRUNED, BOTH)
STUDENTS = {"spoken-digits": ("kws_dscnn", 0.25, 0.5), "cifar10": ("resnet8", 0.5, 1.0)}
"""The network, the small width, and the one that is pruned."""


@dataclass(frozen=True)
class Tier:
    """How long everything is trained."""

    teacher: int
    """Epochs."""
    first: int
    """Epochs of a student before pruning."""
    recover: int
    """Epochs after it."""
    int8: int
    """Epochs through the quantizer."""
    share: float
    """Of CIFAR-10's training samples."""


TIERS = {
    "quick": Tier(1, 1, 1, 1, 0.01),
    "minutes": Tier(8, 10, 6, 3, 0.1),
    "hours": Tier(30, 40, 20, 8, 1.0),
}


def main() -> None:
    """Trains, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="fsdd.zip or cifar10-jpeg.zip")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--tier", choices=TIERS, default="minutes", help="quick is a smoke test")
    parser.add_argument("--share", type=float, help="of CIFAR-10's training samples")
    parser.add_argument(
        "--cap", type=float, help="minutes after which no other seed is begun, if it would not fit"
    )
    parser.add_argument("--set", nargs="*", default=[], help="of the pruned: prune.steps=4")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    start = started()
    name = data_set(chosen.data)
    chosen.results.mkdir(parents=True, exist_ok=True)
    for found, minutes in trained(name, chosen):
        figures: dict[str, Any] = {**compared(found), "minutes_a_seed": minutes}
        draw(figures["arms"], name, chosen.results / f"equal_bytes-{name}.svg")
        finish(
            f"Distil, prune, or both? {name}, int8 files of one size",
            start,
            runs=f"{len(minutes)} seeds of each way, {told(TIERS[chosen.tier])}",
            quick=chosen.tier == "quick",
            figures=figures,
            rows=rows(figures),
            results=chosen.results,
            name=f"equal_bytes-{name}",
        )


def told(tier: Tier) -> str:
    """The epochs in words."""
    return (
        f"{tier.first} + {tier.recover} epochs and {tier.int8} through the quantizer, "
        f"the teacher {tier.teacher}"
    )


def trained(
    name: str, chosen: argparse.Namespace
) -> Iterator[tuple[dict[str, list[dict[str, float]]], list[float]]]:
    """After each seed, what there is so far: of each arm, seed by seed, the file's accuracy and
    bytes; and the minutes that each seed took, in this run or in an earlier one.
    """
    tier = TIERS[chosen.tier]
    path = chosen.data.resolve()
    if name == "cifar10":
        path = shared(as_npz(path, chosen.work), chosen.share or tier.share)
    found: dict[str, list[dict[str, float]]] = {arm.label: [] for arm in ARMS}
    minutes: list[float] = []
    seconds: dict[str, float] = {}
    """Of each stage, by its key: arms share some."""
    began = time.monotonic()
    for seed in range(chosen.seeds):
        spent = (time.monotonic() - began) / 60
        if chosen.cap and minutes and spent + max(minutes) > chosen.cap:
            break
        before = sum(seconds.values())
        limit = 0.0
        for arm in ARMS:
            print(f"seed {seed}, {arm.label}:", file=sys.stderr)
            result = edgekd.run(
                Path(__file__).with_name(f"{name}.yaml"),
                overrides=[
                    f"data.path={path}",
                    f"seed={seed}",
                    *overrides(arm, name, tier, limit),
                    *(chosen.set if arm.pruned else []),
                ],
                runs=chosen.work,
                progress=PlainProgress(sys.stderr),
            )
            found[arm.label].append(file_of(result.summary))
            seconds |= {stage.key: stage.seconds for stage in result.summary.stages}
            limit = found[ALONE.label][-1]["bytes"]
        minutes.append((sum(seconds.values()) - before) / 60)
        yield found, minutes


def overrides(arm: Arm, name: str, tier: Tier, limit: float) -> list[str]:
    """What an arm changes of the pipeline file.

    Args:
        limit: bytes of the small student's file.
    """
    network, small, large = STUDENTS[name]
    epochs = tier.first if arm.pruned else tier.first + tier.recover
    found = [
        f"student.model={{name: {network}, width: {large if arm.pruned else small}}}",
        f"teacher.train.epochs={tier.teacher}",
        f"distill.method={arm.method}",
        f"distill.train.epochs={epochs}",
        f"quantize.train.epochs={tier.int8}",
    ]
    if arm.pruned:
        found += [
            f"prune={{target: bytes, limit: {limit:.0f}}}",
            f"prune.train.epochs={tier.recover}",
        ]
    return found


def file_of(summary: Summary) -> dict[str, float]:
    """Test accuracy of the int8 file in its runtime, bytes and multiplications."""
    (model,) = of(summary, STUDENT)
    assert model.accuracy is not None
    return {"test": model.accuracy.value, "bytes": model.bytes, "macs": model.macs}


def compared(found: dict[str, list[dict[str, float]]]) -> dict[str, Any]:
    """Means with intervals, and differences from the student alone, paired by seed."""
    alone = [file["test"] for file in found[ALONE.label]]
    arms = {}
    for label, files in found.items():
        test = [file["test"] for file in files]
        arms[label] = {
            "test": interval(test),
            "minus_alone": None if label == ALONE.label else interval(differences(test, alone)),
            "bytes": [file["bytes"] for file in files],
            "macs": [file["macs"] for file in files],
        }
    both, distilled = ([file["test"] for file in found[arm.label]] for arm in (BOTH, DISTILLED))
    return {"arms": arms, "both_minus_distilled": interval(differences(both, distilled))}


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table: every way, and what pruning adds to distilling."""
    found = []
    for label, figure in figures["arms"].items():
        size = f"{max(figure['bytes']) / 1000:.1f} kB, {max(figure['macs']) / 1e6:.2f} M MACs"
        reached = f"{mean_percent(figure['test'])}, {size}"
        gain = figure["minus_alone"]
        if gain is not None:
            reached += f"; {points(gain)} to the first, {verdict(gain)}"
        found.append(Row(label, reached))
    gain = figures["both_minus_distilled"]
    found.append(Row("distilled and pruned - distilled only", f"{points(gain)}, {verdict(gain)}"))
    sizes = [size for figure in figures["arms"].values() for size in figure["bytes"]]
    spread = (max(sizes) - min(sizes)) / min(sizes)
    found.append(Row("largest file over the smallest", f"{spread:+.1%}", "≤ +5 %", spread <= 0.05))
    return found


if __name__ == "__main__":
    main()
