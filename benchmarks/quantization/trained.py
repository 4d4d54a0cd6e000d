"""A network, quantized by edgekd: its run, its files and its test samples."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import edgekd
from edgekd.data.dataset import Dataset, load
from edgekd.report.terminal import PlainProgress
from edgekd.train.batches import epoch_order

PIPELINE = Path(__file__).with_name("spoken-digits.yaml")
CALIBRATION = 512
"""Training samples; the same for edgekd and its peers."""


@dataclass(frozen=True)
class Quantized:
    """What a pipeline with one seed made."""

    result: edgekd.RunResult
    seed: int

    def stage(self, name: str) -> Path:
        """The folder of a stage."""
        folder = next(s.folder for s in self.result.summary.stages if s.name == name)
        return self.result.folder / folder

    def file(self, format_: str, precision: str) -> Path:
        """An exported file of the student."""
        return self.stage("export") / f"student-{precision}.{format_}"

    @cached_property
    def data(self) -> Dataset:
        """The data."""
        return load(self.stage("data"))

    @property
    def test(self) -> NDArray[np.float32]:
        """Normalised test samples (N, C, H, W)."""
        found: NDArray[np.float32] = self.data.spec.normalise(np.asarray(self.data.test.x))
        return found

    @property
    def calibration(self) -> NDArray[np.float32]:
        """The normalised training samples that edgekd's own calibration sees."""
        chosen = np.sort(epoch_order(len(self.data.train), self.seed, 0)[:CALIBRATION])
        found: NDArray[np.float32] = self.data.spec.normalise(np.asarray(self.data.train.x)[chosen])
        return found

    def accuracy_of(self, logits: NDArray[np.float32]) -> float:
        """Share of the test samples that are right."""
        return float((logits.argmax(1) == np.asarray(self.data.test.y)).mean())


def quantized(
    data: Path,
    network: str,
    seed: int,
    *overrides: str,
    runs: Path,
    quick: bool,
    until: str | None = None,
) -> Quantized:
    """Trains a network and makes int8 files of it.

    Args:
        data: fsdd.zip.
        network: `teacher.model` of the pipeline file.
        seed: of the run.
        overrides: more of them.
        runs: where run folders lie.
        quick: one epoch of everything.
        until: the last stage to run; all if left out.
    """
    short = ("teacher.train.epochs=1", "quantize.train.epochs=1", "data.augment.views=1")
    result = edgekd.run(
        PIPELINE,
        overrides=[
            f"data.path={data.resolve()}",
            f"teacher.model={network}",
            f"seed={seed}",
            *(short if quick else ()),
            *overrides,
        ],
        until=until,
        runs=runs,
        progress=PlainProgress(sys.stderr),
    )
    return Quantized(result, seed)


def measured(run: Quantized, precision: str, runtime: str) -> Any:
    """p50 in microseconds of the student's file, one thread."""
    (row,) = [
        b
        for b in run.result.summary.bench
        if (b.stage, b.precision, b.runtime, b.threads) == ("student", precision, runtime, 1)
    ]
    return row.latency_us.p50
