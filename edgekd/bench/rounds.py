"""Rounds of processes on one device, in which the files take turns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count, product
from pathlib import Path
from typing import Any

from edgekd.bench.result import BenchMachine, BenchRow
from edgekd.bench.scores import Scores
from edgekd.bench.visit import BenchModel, More, Visit
from edgekd.config.device import DeviceSettings
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import BenchSettings
from edgekd.devices import Device, open_device
from edgekd.devices.browser_link import CannotRun
from edgekd.errors import StageError
from edgekd.progress import Progress

UNSCORED = "{} has no Python that edgekd knows of: only times were measured there, and no accuracy"


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
    """The rows of all files that the device can run, by thread count, and the machine it is.

    Raises:
        StageError: it can run none of them, cannot be reached, or a job failed.
    """
    models = [model for model in models if RUNTIME_OF[model.format] in described.runtimes]
    if not models:
        raise StageError(
            "None of the files runs on this device.",
            where=f"{described.name}: it has {' and '.join(described.runtimes)}",
        )
    rows: list[BenchRow] = []
    machine: dict[str, Any] = {}
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
        visit = Visit(device, described, settings, more, judges, given, told)
        steps = _steps(progress, len(counts) * len(models) * settings.processes)
        for threads in counts:
            first = threads == counts[0]
            found = _turns(visit, models, threads, None if first else rows, steps)
            blocks = _blocks(found, settings.processes)
            for model, results in found:
                machine = machine or results[0]["machine"]
                profiled = first and model.path in more.profile
                row = visit.row(model, threads, results, profiled=profiled)
                rows.append(row.model_copy(update={"blocks_us": blocks.get(model.path, [])}))
    known = BenchMachine.model_fields
    return rows, BenchMachine(**{name: machine[name] for name in known if name in machine})


def _steps(progress: Progress, total: int) -> Callable[[], None]:
    """Tells, at each call, of one process more."""
    numbers = count(1)
    progress.step(0, total, "benchmarks")
    return lambda: progress.step(next(numbers), total, "benchmarks")


def _turns(
    visit: Visit,
    models: Sequence[BenchModel],
    threads: int,
    rows: Sequence[BenchRow] | None,
    step: Callable[[], None],
) -> list[tuple[BenchModel, list[dict[str, Any]]]]:
    """The results of the files' processes, which take turns, so that drift hits all alike. A file
    that cannot run with so many threads is left out.

    Args:
        rows: of the first thread count, where that is told; None in the first one, where it raises.
        step: tells of a process that is done.
    """
    found: list[tuple[BenchModel, list[dict[str, Any]]]] = [(model, []) for model in models]
    for turn, (model, results) in product(range(visit.settings.processes), found):
        if turn and not results:
            continue
        others = _others(visit, models, model, threads, turn)
        try:
            results.append(visit.process(model, threads, results, others))
        except CannotRun as error:
            if rows is None:
                raise
            _note(rows, model, error)
            continue
        step()
    return [(model, results) for model, results in found if results]


def _others(
    visit: Visit, models: Sequence[BenchModel], model: BenchModel, threads: int, turn: int
) -> list[BenchModel]:
    """The files that take turns with one in its process of this round: those of its runtime, in one
    round after the other in another file's process, so that none is always the first. On one thread
    only: further ones spin on after a run, and would take the cores from the next file.
    """
    runtime = RUNTIME_OF[model.format]
    same = list(dict.fromkeys(m for m in models if RUNTIME_OF[m.format] == runtime))
    here = same.index(model)
    if threads != 1 or visit.settings.processes < 2 or not visit.device.together:
        return []
    return same[here + 1 :] + same[:here] if here == turn % len(same) else []


def _blocks(
    found: Sequence[tuple[BenchModel, Sequence[dict[str, Any]]]], rounds: int
) -> dict[Path, list[list[float]]]:
    """What the files' processes tell of turns, by file and round."""
    blocks: dict[Path, list[list[float]]] = {}
    for turn, (_model, results) in product(range(rounds), found):
        told = results[turn].get("blocks_us", {}) if turn < len(results) else {}
        for path, own in told.items():
            blocks.setdefault(path, []).append(own)
    return blocks


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
