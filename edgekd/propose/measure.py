"""What a student costs before it is trained: its int8 TFLite file, written and timed.

Size and time of a file do not depend on the values of the weights, as long as no two arrays are
alike (a file holds those once), so an untrained network, whose ranges were seen on a few samples,
has the file of the trained one.
"""

from __future__ import annotations

import copy
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config.budget import BudgetSettings, LatencyBudget
from edgekd.config.stages import BenchSettings
from edgekd.propose.candidates import Candidate

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset

CALIBRATION = 16
"""Samples whose ranges are observed."""


@dataclass(frozen=True)
class Measured:
    """A candidate's file."""

    candidate: Candidate
    parameters: int
    macs: int
    bytes: int
    latency: tuple[tuple[LatencyBudget, float, float], ...]
    """For each limit of time: p50 and p90 in microseconds where it wants them. Without a limit,
    those of one thread on this machine."""
    export_seconds: float
    """What writing the file took."""
    bench_seconds: float
    """What a process that measures it took, with its start."""

    @property
    def p50(self) -> float:
        """Of the first limit, in microseconds."""
        return self.latency[0][1]


def measure_untrained(
    candidate: Candidate, network: nn.Module, data: Dataset, budget: BudgetSettings
) -> Measured:
    """Exports a network to int8 TFLite and measures the file as the bench stage does.

    Args:
        network: float, on the CPU; not changed.
        budget: its limits of time say on which devices and with how many threads.

    Raises:
        StageError: TFLite cannot express the network, or a device cannot be reached.
    """
    import litert_torch  # noqa: F401 - loading it takes seconds, and only once

    from edgekd.bench.jobs import BenchModel, measure
    from edgekd.models.count import macs, parameters

    started = time.perf_counter()
    limits = budget.latency or (LatencyBudget(),)
    with tempfile.TemporaryDirectory(prefix="edgekd-candidate-") as folder:
        path = Path(folder) / "candidate.tflite"
        _export(_uneven(network), data, path)
        exported = time.perf_counter()
        model = BenchModel(path=path, stage="", seed=0, precision="int8", format="tflite")
        latency = []
        for limit in limits:
            settings = BenchSettings(
                devices=(limit.device,), runtimes=("litert",), threads=(limit.threads,), quick=True
            )
            (row,) = measure([model], settings, run_folder=Path(folder))
            latency.append((limit, row.latency_us.p50, row.latency_us.p90))
        benched = time.perf_counter()
        size = path.stat().st_size
    return Measured(
        candidate,
        parameters(network),
        macs(network, data.spec),
        size,
        tuple(latency),
        exported - started,
        (benched - exported) / len(limits),
    )


def _uneven(network: nn.Module) -> nn.Module:
    """A copy in which no two normalisations or biases are alike, as after training."""
    import torch

    network = copy.deepcopy(network)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim <= 1:
                noise = torch.rand(parameter.shape, generator=generator)
                parameter.add_(0.1 * noise.to(parameter.dtype))
    return network


def _export(network: nn.Module, data: Dataset, path: Path) -> None:
    import numpy as np

    from edgekd import inputs
    from edgekd.compress.quantize import calibrate, convert, prepare_ptq
    from edgekd.export.tflite_file import export_tflite

    raw = inputs.apply(np.asarray, inputs.take(data.train.x, slice(0, CALIBRATION)))
    samples = inputs.tensors(data.spec.normalise(raw))
    prepared = prepare_ptq(network.eval(), inputs.take(samples, slice(0, 4)))
    calibrate(prepared, [samples])
    spec = data.model_spec("candidate")
    export_tflite(convert(prepared, fold=False), spec, path, precision="int8")


def misses(measured: Measured, budget: BudgetSettings) -> list[str]:
    """Which limits the file does not keep, in words; empty if it fits."""
    found = []
    if budget.size is not None and measured.bytes > budget.size:
        found.append(f"{measured.bytes / 1000:.1f} kB, limit {budget.size / 1000:g} kB")
    if not budget.latency:
        return found
    for limit, p50, p90 in measured.latency:
        for name, reached, most in (("p50", p50, limit.p50), ("p90", p90, limit.p90)):
            if most is not None and reached > most:
                shown = f"{name} {reached / 1000:.3f} ms, limit {most / 1000:g} ms"
                found.append(f"{shown} on {limit.device}")
    return found
