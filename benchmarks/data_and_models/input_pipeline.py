"""How much of a training step is waiting for data, and how much memory a training takes.

ResNet-8 on CIFAR-10 (JPEG), batches of 128, streamed from the memory-mapped cache, with two kinds
of augmentation: `edgekd.train.loop.fit` as the pipeline calls it, in a fresh process. Waited is the
time from the end of a step until the next batch is there; the share is of the whole epoch. The
first epoch, whose view is the pictures as they are, does not count. Peak memory is the process's
largest resident set, pages of mapped files included.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.common import Row, finish, options, percent, started

MOST_WAITING, MOST_MEMORY = 0.05, 1500
"""Share of the time, and MB, to keep below."""
ARMS = {
    "shift and flip": {"shift": 4, "flip": True},
    "RandAugment, jitter and mixup": {
        "shift": 4,
        "flip": True,
        "rand_augment": 2,
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.2,
        "mixup": 0.2,
    },
}


def main() -> None:
    """Measures, writes and prints; with `--arm`, trains once, for the parent process."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="cifar10-jpeg.zip")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--train-samples", type=int, help="train on so many only")
    parser.add_argument("--quick", action="store_true", help="a smoke test: 1,024 samples")
    parser.add_argument("--arm", choices=list(ARMS), help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.epochs, chosen.train_samples = 1, 1024
    if chosen.arm is not None:
        print(json.dumps(train(chosen)))
        return
    start = started()
    figures = {arm: in_own_process(arm) for arm in ARMS}
    first = next(iter(figures.values()))
    finish(
        "Waiting for data, and memory",
        start,
        runs=f"{chosen.epochs} epochs of ResNet-8 on {first['samples']:,} samples for each kind of "
        "augmentation",
        quick=chosen.quick,
        figures=figures,
        rows=[row for arm, found in figures.items() for row in rows_of(arm, found)],
        results=chosen.results,
    )


def in_own_process(arm: str) -> dict[str, Any]:
    """Trains with one kind of augmentation in a fresh process."""
    command = [sys.executable, "-m", __spec__.name, *sys.argv[1:], "--arm", arm]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    found: dict[str, Any] = json.loads(done.stdout)
    print(f"{arm}: {found}", file=sys.stderr)
    return found


class Waiting:
    """Counts the seconds that the loop's batches let it wait."""

    def __init__(self, make: Any) -> None:
        self.make = make
        self.seconds = 0.0
        self.steps = 0

    def forget(self) -> None:
        """Begins to count again."""
        self.seconds, self.steps = 0.0, 0

    def __call__(self, *arguments: Any) -> Iterator[Any]:
        """In place of `training_batches`."""
        batches = self.make(*arguments)
        try:
            while True:
                began = time.perf_counter()
                batch = next(batches, None)
                self.seconds += time.perf_counter() - began
                if batch is None:
                    return
                self.steps += 1
                yield batch
        finally:
            batches.close()


def train(chosen: argparse.Namespace) -> dict[str, Any]:
    """One training, and what it waited and took."""
    from edgekd.config.data import Augment, ImageFolderData
    from edgekd.config.methods import LabelsSettings
    from edgekd.config.stages import ModelSettings
    from edgekd.config.training import TrainSettings
    from edgekd.data.dataset import Split
    from edgekd.data.sources import load_source
    from edgekd.distill.losses import make_objective
    from edgekd.models.build import build
    from edgekd.train import loop

    data = load_source(
        ImageFolderData(path=chosen.data.resolve(), size=(32, 32), augment=Augment()), Path()
    )
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    count = min(chosen.train_samples or len(data.train), len(data.train))
    part = Split(data.train.x[:count], data.train.y[:count])
    model = build(ModelSettings(name="resnet8"), data.spec, data.classes)
    loop.training_batches = waiting = Waiting(loop.training_batches)
    augment = Augment(**ARMS[chosen.arm])
    history = loop.fit(
        model,
        part,
        data.validation,
        data.spec,
        TrainSettings(epochs=chosen.epochs + 1, batch_size=128),
        make_objective(LabelsSettings()),
        seed=0,
        augment=augment,
        on_epoch=lambda epoch, _: waiting.forget() if epoch == 1 else None,
    )
    seconds = sum(record.seconds for record in history.epochs[1:])
    return {
        "samples": count,
        "steps": waiting.steps,
        "seconds": seconds,
        "waited_seconds": waiting.seconds,
        "waited_share": waiting.seconds / seconds,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        "peak_before_training_mb": before,
    }


def rows_of(arm: str, found: dict[str, Any]) -> list[Row]:
    """The table's lines of one kind of augmentation."""
    share, peak = found["waited_share"], found["peak_mb"]
    waited, step = (1e3 * found[field] / found["steps"] for field in ("waited_seconds", "seconds"))
    return [
        Row(
            f"a training step waits for data: {arm}",
            f"{percent(share)} of the time ({waited:.1f} of {step:.0f} ms)",
            f"≤ {percent(MOST_WAITING)}",
            share <= MOST_WAITING,
        ),
        Row(
            f"peak memory of the training process: {arm}",
            f"{peak:,.0f} MB",
            f"≤ {MOST_MEMORY:,} MB",
            peak <= MOST_MEMORY,
        ),
    ]


if __name__ == "__main__":
    main()
