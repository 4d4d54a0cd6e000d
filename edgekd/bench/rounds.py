"""Rounds of processes on one device, in which the files take turns."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgekd.bench.gather import gather, gather_emulated
from edgekd.bench.profile import profile
from edgekd.bench.result import BenchMachine, BenchRow, ScenarioFigures
from edgekd.bench.scenario import Scenario, offline, single_stream
from edgekd.bench.scores import OUTPUTS, Judged, Scores
from edgekd.config.device import DeviceSettings
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import BenchSettings
from edgekd.devices import Device, open_device
from edgekd.devices.browser_link import CannotRun
from edgekd.errors import StageError
from edgekd.progress import Progress
from edgekd.runtimes.saturation import warning

WARMUP_SHARE = 0.2
ONCE = {"min_runs": 1, "min_seconds": 0.0, "warmup_seconds": 0.0}
"""Of a device without times: its answers are all that counts."""
QUICK = {"min_runs": 50, "min_seconds": 0.3, "warmup_seconds": 0.05}
UNSCORED = "{} has no Python that edgekd knows of: only times were measured there, and no accuracy"
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


def thread_counts(settings: BenchSettings, cores: int) -> list[int]:
    """The thread counts as numbers, each once, in the settings' order."""
    return list(dict.fromkeys(cores if t == "all" else t for t in settings.threads))


def on_device(
    described: DeviceSettings,
    models: Sequence[BenchModel],
    settings: BenchSettings,
    judges: dict[Path, Scores],
    more: More,
    progress: Progress,
) -> tuple[list[BenchRow], BenchMachine]:
    rows: list[BenchRow] = []
    judged: dict[tuple[Path, bool], Judged] = {}
    machine: dict[str, Any] = {}
    models = [model for model in models if RUNTIME_OF[model.format] in described.runtimes]
    if not models:
        raise StageError(
            "None of the files runs on this device.",
            where=f"{described.name}: it has {' and '.join(described.runtimes)}",
        )
    with open_device(described) as device:
        state = device.state()
        counts = thread_counts(settings, int(state["cores"]))
        counts += [0] if state.get("webgpu") else []
        if not device.timed:
            settings = settings.model_copy(update={"processes": 1})
            counts, more = [1], More()  # threads that wait for each other count instructions, too
        judges, told = _judged_there(device, judges)
        inputs = {scores: scores.push(device) for scores in set(judges.values())}
        given = {path: inputs[scores] for path, scores in judges.items()}
        done, total = 0, len(counts) * len(models) * settings.processes
        progress.step(done, total, "benchmarks")
        for threads in counts:
            results: list[list[dict[str, Any]]] = [[] for _ in models]
            for turn in range(settings.processes):
                for model, found in zip(models, results, strict=True):
                    if turn and not found:
                        continue
                    scores, judging = judges.get(model.path), (model.path, threads == 0)
                    job = _job(device, model, threads, settings) | given.get(model.path, {})
                    new = scores is not None and judging not in judged
                    job |= {"outputs": OUTPUTS} if new else {}
                    job |= more.fields(found, job["min_seconds"])
                    seconds = 2 * job["min_seconds"] + more.stream_seconds
                    try:
                        found.append(device.run(job, PATIENCE + 2 * seconds))
                    except CannotRun as error:
                        if threads == counts[0]:
                            raise
                        _note(rows, model, error)
                        continue
                    if scores is not None and new:
                        judged[judging] = scores.judge(
                            device, found[-1]["runtime"], model.path, here=described.kind == "local"
                        )
                    done += 1
                    progress.step(done, total, "benchmarks")
            for model, found in zip(models, results, strict=True):
                if not found:
                    continue
                machine = machine or found[0]["machine"]
                score = judged.get((model.path, threads == 0), Judged())
                row = _row(device, described, model, found, score)
                row.scenario = _scenario(more, row, found)
                row.warnings += _saturation(model, found[0]) + told
                if model.path in more.profile and threads == counts[0]:
                    job = _job(device, model, threads, settings) | given.get(model.path, {})
                    row = row.model_copy(update=profile(device, described, job, model.format))
                rows.append(row)
    known = BenchMachine.model_fields
    return rows, BenchMachine(**{name: machine[name] for name in known if name in machine})


def _judged_there(
    device: Device, judges: dict[Path, Scores]
) -> tuple[dict[Path, Scores], list[str]]:
    """The scores that a device can be asked for, and what is said where it gives none."""
    if device.scored or not judges:
        return judges, []
    return {}, [UNSCORED.format(device.name)]


def _note(rows: Sequence[BenchRow], model: BenchModel, error: CannotRun) -> None:
    """Tells at a file's first row that a browser cannot run it by WebGPU, or with more threads."""
    first = next(row for row in rows if row.model == str(model.path))
    first.warnings.append(f"left out: {error.where}")


def _job(
    device: Device, model: BenchModel, threads: int, settings: BenchSettings
) -> dict[str, Any]:
    return {
        "model": device.push(model.path),
        "threads": threads,
        **(measuring_length(settings) if device.timed else ONCE),
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
