"""One arm of a comparison: a pipeline up to its distilled student, seed by seed."""

from __future__ import annotations

import argparse
import sys
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

import edgekd
from benchmarks.common import options
from benchmarks.spine.cifar import as_npz
from edgekd.report.terminal import PlainProgress
from edgekd.results import Summary

BEGUN = time.monotonic()
"""Of the process, for `--cap`."""
ALONE = "labels"
"""The method of the student without a teacher."""
QUICK = ("teacher.train.epochs=1", "distill.train.epochs=1", "data.augment.views=1")
SHARES = {"spoken-digits": 1.0, "fresh-digits": 1.0, "strangers": 1.0, "cifar10": 0.2}
"""Of the training samples: what two cores can carry."""
FRESH = r"data.test_files=_[23][0-9]\.wav$"
"""Test recordings of spoken digits that nothing was chosen on."""


def parser(description: str | None, script: str) -> argparse.ArgumentParser:
    """The options of a comparison."""
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    found = options(description, script)
    found.add_argument("--data", type=Path, required=True, help="fsdd.zip or cifar10-jpeg.zip")
    found.add_argument("--seeds", type=int, default=5)
    found.add_argument("--share", type=float, help="of the training samples of CIFAR-10")
    found.add_argument(
        "--strangers", action="store_true", help="of fsdd.zip: test on speakers nobody heard"
    )
    found.add_argument(
        "--fresh", action="store_true", help="of fsdd.zip: test on recordings 20 to 39"
    )
    found.add_argument(
        "--cap", type=float, help="minutes after which no other arm is begun; the same goes on"
    )
    found.add_argument("--quick", action="store_true", help="a smoke test: an epoch of each")
    return found


def data_set(path: Path) -> str:
    """Which of the two data sets a file is."""
    return "cifar10" if path.stem.startswith("cifar10") else "spoken-digits"


def name_of(chosen: argparse.Namespace) -> str:
    """Which data, and which test samples of them."""
    name = data_set(chosen.data)
    if name != "spoken-digits":
        return name
    return "strangers" if chosen.strangers else "fresh-digits" if chosen.fresh else name


def arm(
    chosen: argparse.Namespace,
    *overrides: str,
    seeds: int | None = None,
    without: Sequence[str] = (),
    until: str = "distill",
) -> Summary:
    """Runs the pipeline with these overrides, up to a stage, and gives its figures.

    Args:
        chosen: the parsed options.
        seeds: how many, if not those of the options; one of a smoke test.
        without: fields of the pipeline file that are left out.
        until: the last stage.
    """
    if chosen.cap is not None and time.monotonic() - BEGUN > 60 * chosen.cap:
        raise SystemExit(
            f"The cap of {chosen.cap:g} minutes is reached; no result is written yet. What is "
            "trained is kept: the same command goes on from there."
        )
    name = name_of(chosen)
    path = chosen.data.resolve()
    if name == "cifar10":
        path = shared(as_npz(path, chosen.work), chosen.share or SHARES[name])
    wanted = seeds or chosen.seeds
    quick = [field for field in QUICK if field.partition(".")[0] not in without]
    result = edgekd.run(
        file_of(name, chosen.work, without),
        overrides=[
            *(quick if chosen.quick else ()),
            f"data.path={path}",
            f"seeds={1 if chosen.quick else wanted}",
            *((FRESH, "name=methods-fresh-digits") if name == "fresh-digits" else ()),
            *overrides,
        ],
        until=until,
        runs=chosen.work,
        progress=PlainProgress(sys.stderr),
    )
    return result.summary


def pipeline_of(name: str) -> dict[str, Any]:
    """What the pipeline file of this name beside this module says."""
    file = _beside(name)
    found: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8"))
    return found


def file_of(name: str, work: Path, without: Sequence[str]) -> Path:
    """The pipeline file of this name, or one in `work` that leaves fields out."""
    if not without:
        return _beside(name)
    kept = {field: value for field, value in pipeline_of(name).items() if field not in without}
    path = work / f"{name}-without-{'-'.join(without)}.yaml"
    path.write_text(yaml.safe_dump(kept, sort_keys=False), encoding="utf-8")
    return path


def _beside(name: str) -> Path:
    """The fresh digits have the file of the others, and test recordings of their own."""
    return Path(__file__).with_name(f"{name.replace('fresh', 'spoken')}.yaml")


def accuracies(
    summary: Summary, stage: str = "distill", *, on: str = "test", precision: str = "float32"
) -> list[float]:
    """Accuracy of a stage's network in torch, by seed.

    Args:
        on: `test` or `validation`.
    """
    wanted = (stage, "torch", precision)
    models = [m for m in summary.models if (m.stage, m.format, m.precision) == wanted]
    models.sort(key=lambda m: m.seed)
    parts = [m.accuracy if on == "test" else m.validation for m in models]
    return [part.value for part in parts if part is not None]


def shared(npz: Path, share: float) -> Path:
    """The same arrays with a share of each class's training samples, in a file beside."""
    path = npz.with_name(f"{npz.stem}-{share:g}.npz")
    if path.is_file() or share == 1:
        return path if share != 1 else npz
    with np.load(npz, allow_pickle=False) as arrays:
        y = arrays["y_train"]
        rng = np.random.default_rng(0)
        kept = [
            rng.permutation(np.flatnonzero(y == label))[: round(share * (y == label).sum())]
            for label in np.unique(y)
        ]
        index = np.sort(np.concatenate(kept))
        parts = {"x_train": arrays["x_train"][index], "y_train": y[index]}
        parts |= {part: arrays[part] for part in ("x_test", "y_test")}
    beside = path.with_name(f".{path.name}")
    np.savez(beside, allow_pickle=False, **parts)
    beside.replace(path)
    return path
