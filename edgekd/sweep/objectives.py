"""What a sweep's objectives are, whether a pipeline can measure them, and figures as costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.config.budget import LatencyBudget
from edgekd.config.load import load_device
from edgekd.config.pipeline import RUNTIME_OF, Pipeline
from edgekd.config.sweep import ACCURACY, SIZE, SweepSettings, device_of
from edgekd.errors import ConfigError
from edgekd.sweep.front import Point


@dataclass(frozen=True)
class Costs:
    """What a file costs, whatever its weights."""

    size: int
    """Bytes."""
    latency: tuple[tuple[LatencyBudget, float, float | None], ...]
    """Where it was timed, with p50 and p90 in microseconds."""

    def of(self, objective: str) -> float:
        """The figure of an objective that is not the accuracy."""
        if objective == SIZE:
            return float(self.size)
        device = device_of(objective)
        return next(p50 for limit, p50, _ in self.latency if limit.device == device)


def others_of(sweep: SweepSettings) -> list[str]:
    """The objectives beside the accuracy."""
    return [objective for objective in sweep.objectives if objective != ACCURACY]


def ordered(sweep: SweepSettings) -> list[str]:
    """The accuracy first, then the others as they are given."""
    return [ACCURACY, *others_of(sweep)]


def as_point(score: float, values: Mapping[str, float], sweep: SweepSettings) -> Point:
    """Figures as costs: the score as what it lacks of 1."""
    return (1 - score, *(values[objective] for objective in others_of(sweep)))


def limit_of(objective: str, sweep: SweepSettings) -> float | None:
    """The most that a file may cost in an objective."""
    if objective == SIZE:
        return sweep.limits.size
    if objective == ACCURACY:
        return None
    device = device_of(objective)
    found = [x.p50 for x in sweep.limits.latency if (x.device, x.threads) == (device, 1) and x.p50]
    return min(found, default=None)


def missed(costs: Costs, sweep: SweepSettings) -> list[str]:
    """Which limits a file does not keep, in words."""
    from edgekd.propose.measure import reasons

    return reasons(costs.size, costs.latency, sweep.limits.budget)


def check_objectives(sweep: SweepSettings, pipeline: Pipeline, base: Path) -> None:
    """Refuses what the pipeline cannot measure.

    Raises:
        ConfigError: says what is missing.
    """
    if pipeline.student.search is not None:
        raise ConfigError(
            "A pipeline with student.search cannot be swept: the sweep is the search.",
            fix="name student.model.name and student.model.width in `space`, and leave it out",
        )
    _check_file(sweep, pipeline)
    for limit in sweep.timed:
        _check_device(limit, pipeline, base)


def _check_file(sweep: SweepSettings, pipeline: Pipeline) -> None:
    """Files are measured before a training, as those of `student.search` are."""
    other = pipeline.unlike_plain_file
    if pipeline.deployed_precision == "int16x8":
        other = ["an int16x8 file, which needs the trained network's ranges", *other]
    if sweep.costly and other:
        raise ConfigError(
            "Size and latency of this pipeline's file cannot be measured before a training.",
            where=f"they are measured of a plain file, and this pipeline has {other[0]}",
            fix="leave that out while you search, or take objectives: [accuracy]",
        )


def _check_device(limit: LatencyBudget, pipeline: Pipeline, base: Path) -> None:
    name = f"latency on {limit.device}"
    profile = load_device(limit.device, base)
    if profile.kind == "emulator":
        raise ConfigError(
            f"objectives: {name} cannot be measured.",
            where=f"{limit.device} is emulated, and an emulator has no times of a device",
            fix="name a device that measures times, such as local",
        )
    bench = pipeline.bench
    if limit.device not in bench.devices or limit.threads not in bench.threads:
        devices = ", ".join(dict.fromkeys([*bench.devices, limit.device]))
        threads = ", ".join(map(str, dict.fromkeys([*bench.threads, limit.threads])))
        raise ConfigError(
            f"objectives: the pipeline does not measure {name} with {limit.threads} threads.",
            where=f"bench.devices: {', '.join(bench.devices)}; "
            f"bench.threads: {', '.join(map(str, bench.threads))}",
            fix=f"--set 'bench.devices=[{devices}]' --set 'bench.threads=[{threads}]'",
        )
    if RUNTIME_OF[pipeline.deployed_format] not in bench.runtimes:
        raise ConfigError(
            f"objectives: {name} needs {RUNTIME_OF[pipeline.deployed_format]} in bench.runtimes.",
            where=f"the deployed file is {pipeline.deployed_format}",
        )


def best_first(values: Sequence[Point]) -> list[int]:
    """Places from the cheapest to the dearest, by the last objective."""
    return sorted(range(len(values)), key=lambda k: (values[k][-1], values[k][0]))
