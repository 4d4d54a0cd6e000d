"""What is asked of one device: jobs of its files, and the row that their results make."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekd.bench.gather import gather, gather_emulated
from edgekd.bench.profile import profile
from edgekd.bench.result import BenchRow, ScenarioFigures
from edgekd.bench.scenario import Scenario, offline, single_stream
from edgekd.bench.scores import OUTPUTS, Judged, Scores
from edgekd.config.device import DeviceSettings
from edgekd.config.stages import BenchSettings
from edgekd.devices import Device
from edgekd.errors import StageError
from edgekd.runtimes.saturation import warning

WARMUP_SHARE = 0.2
TURNS_SHARE = 0.5
"""Of the seconds that a process measures, for each of several files that take turns afterwards."""
ONCE = {"min_runs": 1, "min_seconds": 0.0, "warmup_seconds": 0.0}
"""Of a device without times: its answers are all that counts."""
QUICK = {"min_runs": 50, "min_seconds": 0.3, "warmup_seconds": 0.05}
PATIENCE = 600.0
"""Seconds that a job may take beside the measuring: loading, slow runs, the scores."""


@dataclass(frozen=True)
class BenchModel:
    """A file to measure."""

    path: Path
    stage: str
    seed: int
    precision: str
    format: str
    """onnx, ort or tflite."""


@dataclass(frozen=True)
class More:
    """What else is found out, beside the measured runs."""

    profile: Collection[Path] = ()
    """Files whose time by operator is wanted, on the first thread count."""
    fps: float | None = None
    """Frames a second that come at a fixed rate; None for no such stream."""
    deadline_ms: float | None = None
    """Within which a frame must be finished; until the next one comes if left out."""
    stream_seconds: float = 10.0
    """How long frames come."""
    raw: bool = False
    """Also from files' bytes to answers."""
    scenario: Scenario | None = None
    """Which use of the model is told of, too."""

    def fields(self, before: Sequence[dict[str, Any]], seconds: float) -> dict[str, Any]:
        """Of the agent's job.

        Args:
            before: results of the same file's processes.
            seconds: how long a process measures.
        """
        found: dict[str, Any] = {}
        if self.fps is not None and not before:
            stream = {"fps": self.fps, "deadline_ms": self.deadline_ms}
            found["stream"] = {**stream, "seconds": self.stream_seconds}
        if self.scenario == "offline":
            batch = before[0].get("offline", {}).get("batch") if before else None
            found["offline"] = {"seconds": seconds, "batch": batch}
        return found


@dataclass(frozen=True)
class Visit:
    """What is asked of one device, once it is connected."""

    device: Device
    described: DeviceSettings
    settings: BenchSettings
    more: More
    judges: Mapping[Path, Scores]
    """Of the files whose answers are judged."""
    inputs: Mapping[Path, dict[str, Any]]
    """Of these, the fields of a job that name the samples there."""
    told: Sequence[str]
    """Warnings of all files."""
    judged: dict[tuple[Path, bool], Judged] = field(default_factory=dict)
    """By file and whether WebGPU ran it, as far as it went: once is enough."""

    def process(
        self,
        model: BenchModel,
        threads: int,
        before: Sequence[dict[str, Any]],
        others: Sequence[BenchModel] = (),
    ) -> dict[str, Any]:
        """One process of a file: it is measured, and in the first one its answers are judged.

        Args:
            threads: 0 is WebGPU.
            before: results of the same file's processes.
            others: files that take turns with it afterwards, in the same process; its result then
                has every file's `blocks_us` by its path.

        Raises:
            CannotRun: a browser cannot run it so.
            StageError: see `Device.run`.
        """
        scores, judging = self.judges.get(model.path), (model.path, threads == 0)
        new = scores is not None and judging not in self.judged
        job = self.job(model, threads)
        job |= {"outputs": OUTPUTS} if new else {}
        job |= self.more.fields(before, job["min_seconds"])
        if others:
            job["turns"] = self._turns(others, job)
        seconds = (2 + len(others)) * job["min_seconds"] + self.more.stream_seconds
        result = self.device.run(job, PATIENCE + 2 * seconds)
        if scores is not None and new:
            here = self.described.kind == "local"
            self.judged[judging] = scores.judge(
                self.device, result["runtime"], model.path, here=here
            )
        if others:
            result["blocks_us"] = _by_path([model, *others], result.get("blocks_us"))
        return result

    def _turns(self, others: Sequence[BenchModel], job: dict[str, Any]) -> dict[str, Any]:
        """The field of a job that says which files take turns, and how long."""
        files = [
            {"model": self.device.push(one.path), **self.inputs.get(one.path, {})} for one in others
        ]
        seconds = TURNS_SHARE * min(job["min_seconds"], job.get("max_seconds", math.inf))
        return {"others": files, "seconds": seconds}

    def row(
        self, model: BenchModel, threads: int, results: Sequence[dict[str, Any]], *, profiled: bool
    ) -> BenchRow:
        """A file's row of its processes' results.

        Args:
            profiled: its time by operator is measured now, too.
        """
        score = self.judged.get((model.path, threads == 0), Judged())
        row = _row(self.device, self.described, model, results, score)
        row.scenario = _scenario(self.more, row, results)
        row.warnings += [*_saturation(model, results[0]), *self.told]
        if not profiled:
            return row
        found = profile(self.device, self.described, self.job(model, threads), model.format)
        return row.model_copy(update=found)

    def job(self, model: BenchModel, threads: int) -> dict[str, Any]:
        """An agent's job that measures a file."""
        length = measuring_length(self.settings) if self.device.timed else ONCE
        return {
            "model": self.device.push(model.path),
            "threads": threads,
            **length,
            **self.inputs.get(model.path, {}),
        }


def _row(
    device: Device,
    described: DeviceSettings,
    model: BenchModel,
    results: Sequence[dict[str, Any]],
    judged: Judged,
) -> BenchRow:
    known = {
        "model": str(model.path),
        "stage": model.stage,
        "seed": model.seed,
        "precision": model.precision,
        "device": device.name,
        "bytes": model.path.stat().st_size,
        "accuracy": judged.score,
        "metrics": judged.metrics,
        "same_answers": judged.same,
    }
    if device.timed:
        return gather(results, known)
    return gather_emulated(results[0], {**known, "emulated": described.processor}, device.notes)


def _by_path(models: Sequence[BenchModel], blocks: Any) -> dict[Path, list[float]]:
    """The blocks that a job tells of, by file.

    Raises:
        StageError: they are no times: a device may answer anything.
    """
    whole = isinstance(blocks, list) and len(blocks) == len(models)
    if whole and all(isinstance(own, list) and len(own) == len(blocks[0]) > 0 for own in blocks):
        times = [us for own in blocks for us in own]
        if all(isinstance(us, int | float) and 0 < us < math.inf for us in times):
            return {model.path: own for model, own in zip(models, blocks, strict=True)}
    raise StageError(
        "A benchmark's result is not whole.",
        where=f"{models[0].path}: the times of files that took turns",
        fix="run the same command again",
    )


def _saturation(model: BenchModel, result: dict[str, Any]) -> list[str]:
    """Whether the processor's int8 sums may be wrong, in a list of one or none."""
    told = warning(
        model.path,
        result["machine"].get("instructions", ()),
        exact=result.get("exact_products") is not False,
    )
    return [] if told is None else [told]


def _scenario(
    more: More, row: BenchRow, results: Sequence[dict[str, Any]]
) -> ScenarioFigures | None:
    if more.scenario == "offline" and "offline" in results[0]:  # a browser has none
        return offline(results)
    times = row.latency_us
    if more.scenario == "single-stream" and times is not None and times.p90 is not None:
        return single_stream(times, results)
    return None


def measuring_length(settings: BenchSettings) -> dict[str, float]:
    """How long a job measures, as fields of the agent's job: its share of the runs and seconds."""
    asked = {
        "min_runs": settings.min_runs,
        "min_seconds": settings.min_seconds,
        "warmup_seconds": WARMUP_SHARE * settings.min_seconds,
    }
    if settings.quick:
        asked = dict(QUICK)
    return {
        **asked,
        "min_runs": math.ceil(asked["min_runs"] / settings.processes),
        "min_seconds": asked["min_seconds"] / settings.processes,
        "warmup_runs": settings.warmup_runs,
        **(
            {"max_seconds": settings.max_seconds / settings.processes}
            if settings.max_seconds
            else {}
        ),
    }
