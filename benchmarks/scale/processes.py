"""Two processes on one host, over gloo, against one: soft labels, training, and the same results.

    python -m benchmarks.scale.processes

The arms are one process with one thread, two processes with one thread each, and one process with
two threads. They take turns, in fresh processes. Soft labels are those of digits by a ResNet-8 of
double width, which is also what is trained.

- Soft labels: seconds in which the cache is made, by `benchmarks.scale.labelling`.
- An epoch: the median of a training's epochs but the first, with its validation.
- Weights: the largest difference of any weight or running statistic after one epoch of SGD in
  float32, from those of one process with one thread, at two rates: a step at a high rate makes
  rounding grow. Two threads stand beside it: they, too, only add up in another order.
- Accuracy: of whole trainings, on the test samples, by seed.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from safetensors.torch import load_file

from benchmarks.common import BENCHMARKS, Row, finish, interval, mean_percent, options, started
from edgekd.store import read_json
from edgekd.train.history import History

PIPELINE = Path(__file__).resolve().with_name("digits.yaml")
FASTER, ALIKE = 1.7, 1e-4
RATES = ("0.005", "0.05")
"""The second is the one of the trainings."""


@dataclass(frozen=True)
class Arm:
    """How many processes, and threads of each."""

    name: str
    processes: int
    threads: int


ARMS = (Arm("one", 1, 1), Arm("two processes", 2, 1), Arm("two threads", 1, 2))
ONE, TWO, THREADS = (arm.name for arm in ARMS)


def main() -> None:
    """Measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: 1 seed, 2 epochs")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=5, help="of the soft labels, each thrice")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.seeds, chosen.rounds = 1, 1
    start = started()
    chosen.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="scale-", dir=chosen.work) as folder:
        figures = {
            "trainings": _trainings(Path(folder), chosen),
            "weights": _weights(Path(folder), chosen),
            "labelling": _labelling(Path(folder), chosen),
        }
    figures["load_after"] = round(os.getloadavg()[0], 2)
    finish(
        "Two processes on one host",
        start,
        runs=f"{chosen.rounds} rounds of soft labels, trainings with {chosen.seeds} seeds",
        quick=chosen.quick,
        figures=figures,
        rows=_rows(figures),
        results=chosen.results,
    )


def launch(arm: Arm, module: str, *arguments: str) -> str:
    """What a module prints, run as an arm runs it."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node"]
    several = [*torchrun, str(arm.processes)] if arm.processes > 1 else []
    done = subprocess.run(
        [sys.executable, *several, "-m", module, *arguments],
        cwd=BENCHMARKS.parent,
        env={**os.environ, "OMP_NUM_THREADS": str(arm.threads)},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise SystemExit(f"{arm.name}: {module} failed.\n{done.stdout}\n{done.stderr}")
    return done.stdout


def train(arm: Arm, runs: Path, *overrides: str) -> Path:
    """The teacher's folder."""
    options = [part for override in overrides for part in ("--set", override)]
    command = ["run", str(PIPELINE), "--until", "teacher", "--runs", str(runs)]
    launch(arm, "edgekd", *command, *options)
    (found,) = (runs / "scale").glob("teacher-*")
    return found


def _trainings(folder: Path, chosen: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """By arm: the test accuracy, and the seconds of an epoch, of each seed."""
    found: dict[str, dict[str, list[float]]] = {
        arm.name: {"accuracy": [], "epoch_seconds": []} for arm in ARMS
    }
    short = ["teacher.train.epochs=2"] if chosen.quick else []
    for seed in range(chosen.seeds):
        for arm in ARMS[:: -1 if seed % 2 else 1]:
            teacher = train(arm, folder / f"{arm.name}-{seed}", f"seed={seed}", *short)
            (model,) = read_json(teacher / "manifest.json")["models"]
            seconds = [epoch.seconds for epoch in History.load(teacher).epochs[1:]]
            found[arm.name]["accuracy"].append(model["accuracy"]["value"])
            found[arm.name]["epoch_seconds"].append(median(seconds))
    return found


def _weights(folder: Path, chosen: argparse.Namespace) -> dict[str, dict[str, list[float]]]:
    """By rate and arm: the largest difference from one process with one thread after an epoch, by
    seed."""
    found: dict[str, dict[str, list[float]]] = {rate: {TWO: [], THREADS: []} for rate in RATES}
    for rate, differences in found.items():
        for seed in range(min(chosen.seeds, 2)):
            set_ = f"seed={seed}", "teacher.train.stop_after=1"
            made = {}
            for arm in ARMS:
                runs = folder / f"epoch-{arm.name}-{seed}-{rate}"
                teacher = train(arm, runs, *set_, f"teacher.train.learning_rate={rate}")
                made[arm.name] = load_file(teacher / "model.safetensors")
            for name, values in differences.items():
                apart = ((made[name][key] - value).abs().max() for key, value in made[ONE].items())
                values.append(max(map(float, apart)))
    return found


def _labelling(folder: Path, chosen: argparse.Namespace) -> dict[str, list[float]]:
    """By arm: seconds of the soft labels, of each round the fastest time."""
    run = str(folder / f"{ONE}-0" / "scale")
    views = "3" if chosen.quick else "10"
    found: dict[str, list[float]] = {arm.name: [] for arm in ARMS}
    for number in range(chosen.rounds):
        for arm in ARMS[:: -1 if number % 2 else 1]:
            said = launch(arm, "benchmarks.scale.labelling", run, "--views", views)
            found[arm.name].append(min(json.loads(said.splitlines()[-1])))
    return found


def _rows(figures: dict[str, Any]) -> list[Row]:
    labelling, trainings, weights = (
        figures[name] for name in ("labelling", "trainings", "weights")
    )
    epochs = {name: found["epoch_seconds"] for name, found in trainings.items()}
    two = median(ratios(labelling, TWO))
    rows = [
        Row(
            "soft labels: two processes against one, one thread each",
            f"{two:.2f} × ({spread(ratios(labelling, TWO))})",
            f"≥ {FASTER} ×",
            two >= FASTER,
        ),
        _told("soft labels: one process of two threads against one of one", labelling, THREADS),
        _told("an epoch: two processes against one, one thread each", epochs, TWO),
        _told("an epoch: one process of two threads against one of one", epochs, THREADS),
    ]
    for rate, found in weights.items():
        most, floor = max(found[TWO]), max(found[THREADS])
        what = f"weights after one epoch at rate {rate}"
        rows += [
            Row(
                f"{what}: two processes against one", f"{most:.1e}", f"≤ {ALIKE:.0e}", most <= ALIKE
            ),
            Row(f"{what}: two threads against one", f"{floor:.1e}"),
        ]
    scores = {name: interval(found["accuracy"]) for name, found in trainings.items()}
    one, both = scores[ONE], scores[TWO]
    return [
        *rows,
        Row("test accuracy: one process", mean_percent(one)),
        Row(
            "test accuracy: two processes",
            mean_percent(both),
            "mean within the interval of one",
            one["low"] <= both["mean"] <= one["high"],
        ),
    ]


def _told(what: str, seconds: dict[str, list[float]], name: str) -> Row:
    found = ratios(seconds, name)
    return Row(what, f"{median(found):.2f} × ({spread(found)})")


def ratios(seconds: dict[str, list[float]], name: str) -> list[float]:
    """How many times faster an arm is than one process of one thread, by round."""
    return [one / own for one, own in zip(seconds[ONE], seconds[name], strict=True)]


def spread(values: list[float]) -> str:
    """The least and the largest."""
    return f"{min(values):.2f} to {max(values):.2f}"


if __name__ == "__main__":
    main()
