"""A training epoch of edgekd against a plain PyTorch loop, on CIFAR-10 (JPEG), on the processor.

Both arms train the same ResNet-20 with the same data split, batches of 128, SGD with Nesterov
momentum, schedule, shifts of up to 4 pixels and mirroring. Arms take turns (AB, BA, AB ...), each
in a fresh process. Counted is the training part of an epoch: order, augmentation, forward,
backward, step. For edgekd this is `EpochRecord.seconds`, which leaves out validation, checkpoints
and the one normalisation of the whole split before the first epoch; that is told apart as set-up.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.common import Row, finish, interval, mean_percent, number, options, started
from benchmarks.spine.cifar import as_dataset

ARMS = ("plain", "edgekd")


def main() -> None:
    """Measures, writes and prints; with `--arm`, only trains one arm, for the parent process."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="cifar10-jpeg.zip")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each arm, seeds 0, 1, ...")
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--train-samples", type=int, help="train on so many only")
    parser.add_argument(
        "--quick", action="store_true", help="a smoke test: its figures say nothing"
    )
    parser.add_argument("--arm", choices=(*ARMS, "probe"), help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seeds, chosen.epochs, chosen.train_samples = 1, 1, 1024
    if chosen.arm is not None:
        from benchmarks.spine.arms import train_arm

        chosen.out.write_text(json.dumps(train_arm(chosen)), encoding="utf-8")
        return

    start = started()
    begin = time.perf_counter()
    chosen.data = as_dataset(chosen.data, chosen.work)
    print(f"data: {time.perf_counter() - begin:.0f} s", file=sys.stderr)
    workers, probes = faster_workers(chosen)
    runs: dict[str, list[dict[str, Any]]] = {arm: [] for arm in ARMS}
    for seed in range(chosen.seeds):
        for arm in ARMS if seed % 2 == 0 else reversed(ARMS):
            runs[arm].append(in_own_process(chosen, arm, seed, workers))
    figures = {"workers": workers, "probe_seconds": probes, **compared(runs)}
    finish(
        "A training epoch against a plain PyTorch loop",
        start,
        runs=f"{chosen.seeds} of each arm, taking turns, {chosen.epochs} epochs each on "
        f"{runs['edgekd'][0]['train_samples']:,} samples",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures, chosen),
        results=chosen.results,
    )


def in_own_process(chosen: argparse.Namespace, arm: str, seed: int, workers: int) -> dict[str, Any]:
    """Trains one arm in a fresh process and returns what it found."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.json"
        command = [sys.executable, "-m", "benchmarks.spine.training_speed", "--data", chosen.data]
        command += ["--arm", arm, "--seed", seed, "--workers", workers, "--out", out]
        command += ["--epochs", chosen.epochs]
        if chosen.train_samples:
            command += ["--train-samples", chosen.train_samples]
        on_the_processor = {**os.environ, "CUDA_VISIBLE_DEVICES": ""}
        subprocess.run([str(part) for part in command], check=True, env=on_the_processor)
        result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    epochs = ", ".join(f"{seconds:.1f}" for seconds in result["epoch_seconds"])
    print(f"{arm}, seed {seed}, {workers} workers: {epochs} s", file=sys.stderr)
    return result


def faster_workers(chosen: argparse.Namespace) -> tuple[int, dict[str, list[float]]]:
    """The number of DataLoader workers, 0 or 2, with which the plain loop is faster here.

    Each is tried twice, taking turns; the least time of an epoch of 40 batches, after one that does
    not count because the workers start in it, decides.
    """
    tried: dict[int, list[float]] = {0: [], 2: []}
    for workers in (0, 2, 2, 0):
        tried[workers].append(in_own_process(chosen, "probe", 0, workers)["epoch_seconds"][-1])
    best = min(tried, key=lambda workers: min(tried[workers]))
    return best, {str(workers): seconds for workers, seconds in tried.items()}


def compared(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Ratios of neighbouring runs' median epochs, and each arm's accuracies."""
    epochs = {arm: [statistics.median(r["epoch_seconds"]) for r in runs[arm]] for arm in ARMS}
    ratios = [e / p for p, e in zip(epochs["plain"], epochs["edgekd"], strict=True)]
    accuracies = {arm: interval([r["test_accuracy"] for r in runs[arm]]) for arm in ARMS}
    difference = [
        e - p
        for p, e in zip(accuracies["plain"]["values"], accuracies["edgekd"]["values"], strict=True)
    ]
    return {
        "ratio": {"median": statistics.median(ratios), **interval(ratios)},
        "median_epoch_seconds": {arm: statistics.median(epochs[arm]) for arm in ARMS},
        "setup_seconds": {arm: statistics.median(r["setup_seconds"] for r in runs[arm])
                          for arm in ARMS},
        "test_accuracy": accuracies,
        "edgekd_minus_plain": interval(difference),
        "intervals_overlap": accuracies["plain"]["low"] <= accuracies["edgekd"]["high"]
        and accuracies["edgekd"]["low"] <= accuracies["plain"]["high"],
        "precision": runs["edgekd"][0]["precision"],
        "threads": runs["edgekd"][0]["threads"],
        "runs": runs,
    }  # fmt: skip


def rows(f: dict[str, Any], chosen: argparse.Namespace) -> list[Row]:
    """The table."""
    ratio, accuracy = f["ratio"], f["test_accuracy"]
    seconds, setup = f["median_epoch_seconds"], f["setup_seconds"]
    return [
        Row(
            f"plain loop: float32, NCHW, DataLoader with {f['workers']} workers",
            f"{seconds['plain']:.1f} s an epoch (median), test accuracy after {chosen.epochs} "
            f"epochs {mean_percent(accuracy['plain'])}",
        ),
        Row(
            f"edgekd: {f['precision']}, channels last, batches in memory",
            f"{seconds['edgekd']:.1f} s an epoch (median) and {setup['edgekd']:.1f} s once, "
            f"test accuracy {mean_percent(accuracy['edgekd'])}",
        ),
        Row(
            "epoch of edgekd / epoch of the plain loop",
            f"{ratio['median']:.3f} (median of pairs; mean {number(ratio)})",
            "≤ 1/2 (processor with bf16)",
            ratio["median"] <= 0.5,
        ),
        Row(
            "accuracy within the seeds' interval",
            f"edgekd - plain {100 * f['edgekd_minus_plain']['mean']:+.2f} points; the 95 % "
            f"intervals {'overlap' if f['intervals_overlap'] else 'do not overlap'}",
            "they overlap",
            f["intervals_overlap"] if chosen.seeds > 1 else None,
        ),
    ]


if __name__ == "__main__":
    main()
