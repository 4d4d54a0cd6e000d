"""What a student costs before it is trained: its int8 TFLite file, written and timed."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config.budget import BudgetSettings, LatencyBudget
from edgekd.propose.candidates import Candidate

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset


@dataclass(frozen=True)
class Measured:
    """A candidate's file."""

    candidate: Candidate
    parameters: int
    macs: int
    bytes: int
    latency: tuple[tuple[LatencyBudget, float, float | None], ...]
    """For each limit of time: p50 and p90 in microseconds where it wants them, None where the
    device does not tell. Without a limit, those of one thread on this machine."""
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

    from edgekd.models.count import macs, parameters
    from edgekd.propose.untrained import time_file, write_file

    started = time.perf_counter()
    limits = budget.latency or (LatencyBudget(),)
    with tempfile.TemporaryDirectory(prefix="edgekd-candidate-") as folder:
        path = write_file(network, data, Path(folder), "tflite", "int8")
        exported = time.perf_counter()
        timed = [(limit, time_file(path, "int8", limit)) for limit in limits]
        benched = time.perf_counter()
        size = path.stat().st_size
    return Measured(
        candidate,
        parameters(network),
        macs(network, data.spec),
        size,
        tuple((limit, found.p50, found.p90) for limit, found in timed),
        exported - started,
        (benched - exported) / len(limits),
    )


def misses(measured: Measured, budget: BudgetSettings) -> list[str]:
    """Which limits the file does not keep, in words; empty if it fits."""
    return reasons(measured.bytes, measured.latency, budget)


def reasons(
    size: int, latency: Sequence[tuple[LatencyBudget, float, float | None]], budget: BudgetSettings
) -> list[str]:
    """Which limits a file of such a size and such times does not keep, in words.

    Args:
        latency: where it was timed, with p50 and p90 in microseconds. A limit is compared with the
            times on its device with its threads.
    """
    found = []
    if budget.size is not None and size > budget.size:
        found.append(f"{size / 1000:.1f} kB, limit {budget.size / 1000:g} kB")
    for limit in budget.latency:
        p50, p90 = next(
            (p50, p90)
            for timed, p50, p90 in latency
            if (timed.device, timed.threads) == (limit.device, limit.threads)
        )
        for name, reached, most in (("p50", p50, limit.p50), ("p90", p90, limit.p90)):
            if most is not None and reached is None:
                found.append(f"{name} is not told by {limit.device}")
            elif most is not None and reached is not None and reached > most:
                shown = f"{name} {reached / 1000:.3f} ms, limit {most / 1000:g} ms"
                found.append(f"{shown} on {limit.device}")
    return found
