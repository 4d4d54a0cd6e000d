"""Measuring files: processes of the agent, in which the files take turns."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edgekd.bench.any_source import Ready, of_foreign_file, of_own_file
from edgekd.bench.data import Test, read_test
from edgekd.bench.gather import gather, gather_emulated
from edgekd.bench.result import BenchMachine, BenchResult, BenchRow
from edgekd.bench.scores import OUTPUTS, Judged, Scores
from edgekd.config.device import DeviceSettings
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import BenchSettings, OnnxInput
from edgekd.data.table_file import SUFFIXES
from edgekd.devices import Device, open_device
from edgekd.devices.browser_link import CannotRun
from edgekd.errors import ConfigError, DataError, StageError
from edgekd.keys import installed_version
from edgekd.progress import SILENT, Progress
from edgekd.results import BenchFigures
from edgekd.runtimes import load
from edgekd.runtimes.loaded import LoadedFile, check_file
from edgekd.runtimes.probe import probe
from edgekd.spec import ModelSpec

WARMUP_SHARE = 0.2
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
    """What a process finds out after its measured runs."""

    profile: bool = False
    """The time by operator, where the runtime tells it."""
    fps: float | None = None
    """Frames a second that come at a fixed rate; None for no such stream."""
    deadline_ms: float | None = None
    """Within which a frame must be finished; until the next one comes if left out."""
    stream_seconds: float = 10.0
    """How long frames come."""

    def fields(self) -> dict[str, Any]:
        """Of the agent's job."""
        found: dict[str, Any] = {"profile": True} if self.profile else {}
        if self.fps is not None:
            stream = {"fps": self.fps, "deadline_ms": self.deadline_ms}
            found["stream"] = {**stream, "seconds": self.stream_seconds}
        return found


def measure(
    models: Sequence[BenchModel],
    settings: BenchSettings,
    *,
    test: Test | None = None,
    spec: ModelSpec | None = None,
    run_folder: Path,
    base: Path | None = None,
    progress: Progress = SILENT,
    told: Callable[[str], None] = lambda _text: None,
) -> list[BenchFigures]:
    """Measures every model on every device with every thread count, in its format's runtime.

    For each thread count the models come one after the other, and so again in every further round
    of processes, so that figures which are compared lie close in time. The scores, which threads do
    not change, are measured once a device.

    Args:
        models: those whose runtime is not asked for are left out.
        test: normalised samples (N, *shape), float32, channels first, or of several inputs by name,
            and their targets.
        spec: what the models answer; classes of the outputs' numbers if left out.
        run_folder: the figures' paths start here where a file lies in it.
        base: relative paths of device files start here; in the current folder if left out.
        told: gets a sentence for each device that failed while another one did not.

    Raises:
        ConfigError: a device profile is wrong, or no file has a runtime that is asked for.
        StageError: no device can be reached, or a file runs on none.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-test-") as folder:
        scores = None if test is None else Scores(test, spec, Path(folder))
        judges = {} if scores is None else {model.path: scores for model in models}
        result = _measure(models, settings, judges, base=base, progress=progress)
    for name, why in result.failed.items():
        told(f"the device {name} gave no result: {' '.join(why.split())}")
    return [
        row.plain().model_copy(update={"model": _relative(row.model, run_folder)})
        for row in result.rows
    ]


def bench_files(
    paths: Sequence[Path],
    settings: BenchSettings,
    data: str | Path | None = None,
    label: Sequence[str] = (),
    *,
    given: OnnxInput | None = None,
    more: More | None = None,
    host: str | None = None,
    progress: Progress = SILENT,
) -> BenchResult:
    """Measures .onnx, .ort and .tflite files, also such that edgekd did not export, taking turns.

    Args:
        data: for the scores: of a file of edgekd's an .npz file of raw samples `x` (or `x_test`)
            and targets `y` (or `y_test`), or a table, whole; of any file the test part of what
            `edgekd.data.command_source.named_data` knows. Without it the inputs are random.
        label: the table's column of the answers, or columns, where they are not clear.
        given: how files of unknown origin want their input.
        more: what else each first process finds out.
        host: where pages for browsers are served, in place of their profiles' hosts.

    Raises:
        ConfigError: a file is of another format, or `host` is given and no device is a browser.
        DataError: the data does not fit a model.
        EdgekdError: a file is damaged, or cannot be loaded.
    """
    given = given or OnnxInput()
    models: list[BenchModel] = []
    judges: dict[Path, Scores] = {}
    notes: dict[str, Sequence[str]] = {}
    with tempfile.TemporaryDirectory(prefix="edgekd-test-") as folder:
        for number, path in enumerate(paths):
            file, model = _opened(path, given)
            models.append(model)
            if data is not None:
                ready = _ready(str(data), file, path, given, label)
                inputs = Path(folder) / str(number)
                inputs.mkdir()
                judges[path] = Scores(
                    ready.test, ready.spec, inputs, given.output, foreign=ready.foreign
                )
                notes[str(path)] = ready.notes
        result = _measure(models, settings, judges, more=more, host=host, progress=progress)
    for row in result.rows:
        row.warnings = [*notes.get(row.model, ()), *row.warnings]
        row.model = _relative(row.model, Path.cwd())
    return result


def bench_file(
    path: Path,
    settings: BenchSettings,
    data: str | Path | None = None,
    label: Sequence[str] = (),
    progress: Progress = SILENT,
    given: OnnxInput | None = None,
) -> list[BenchRow]:
    """The rows of one file; see `bench_files`."""
    return bench_files([path], settings, data, label, given=given, progress=progress).rows


def _opened(path: Path, given: OnnxInput) -> tuple[LoadedFile, BenchModel]:
    form = path.suffix.lower().lstrip(".")
    if form not in RUNTIME_OF:
        raise ConfigError("This is neither an .onnx, .ort nor .tflite file.", where=str(path))
    check_file(path)
    if path.is_file():
        probe(path, runs=False)
    file = load(path)
    deployed = file.describe()
    if deployed is not None and given != OnnxInput():
        raise ConfigError(
            "This file tells itself how its input is made.",
            where=str(path),
            fix="take --layout, --scale, --mean, --std and --output away",
        )
    return file, BenchModel(path, "", 0, deployed.precision if deployed else "", form)


def _measure(
    models: Sequence[BenchModel],
    settings: BenchSettings,
    judges: dict[Path, Scores],
    *,
    base: Path | None = None,
    more: More | None = None,
    host: str | None = None,
    progress: Progress = SILENT,
) -> BenchResult:
    from edgekd.config.load import load_device

    wanted = [model for model in models if RUNTIME_OF[model.format] in settings.runtimes]
    if not wanted:
        raise ConfigError(
            f"None of the {len(models)} files runs in {' or '.join(settings.runtimes)}.",
            fix="name the runtime of an exported format in bench.runtimes",
        )
    profiles = _served_at(host, [load_device(name, base) for name in settings.devices])
    _check_opsets(profiles, wanted)
    rows: list[BenchRow] = []
    machines: dict[str, BenchMachine] = {}
    failed: dict[str, StageError] = {}
    for device in profiles:
        try:
            found, machines[device.name] = _on_device(
                device, wanted, settings, judges, more or More(), progress
            )
        except StageError as error:
            failed[device.name] = error
            continue
        rows += found
    if not rows and len(failed) == 1:
        raise next(iter(failed.values()))
    if not rows:
        raise StageError(
            "None of the devices gave a result.",
            where="\n  ".join(f"{name}: {error}" for name, error in failed.items()),
        )
    return BenchResult(
        edgekd=installed_version("edgekd"),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        settings=settings.model_dump(mode="json"),
        machines=machines,
        rows=rows,
        failed={name: str(error) for name, error in failed.items()},
    )


def _served_at(host: str | None, profiles: list[DeviceSettings]) -> list[DeviceSettings]:
    """The profiles, those of browsers with the page's address that the command names."""
    if host is None:
        return profiles
    if not any(profile.kind == "browser" for profile in profiles):
        raise ConfigError(
            "Only for a browser a page is served.",
            where=f"--host {host}",
            fix="add --device browser, or take --host away",
        )
    from edgekd.config.load import validate

    return [
        validate(DeviceSettings, profile.model_dump(exclude_unset=True) | {"host": host})
        if profile.kind == "browser"
        else profile
        for profile in profiles
    ]


def _check_opsets(devices: Sequence[DeviceSettings], models: Sequence[BenchModel]) -> None:
    """Before anything is measured: whether each device's ONNX Runtime reads each .onnx file."""
    from edgekd.devices.opsets import check_opset
    from edgekd.runtimes.check_onnx import opset, read_onnx

    old = [d for d in devices if d.onnxruntime is not None and "onnxruntime" in d.runtimes]
    for model in models if old else ():
        if model.format == "onnx":
            found = opset(read_onnx(model.path))
            for device in old:
                check_opset(found, device, str(model.path))


def _ready(
    data: str, file: LoadedFile, path: Path, given: OnnxInput, label: Sequence[str]
) -> Ready:
    """The test data as the file takes it."""
    deployed = file.describe()
    if deployed is None:
        return of_foreign_file(data, file, path, given, label)
    if Path(data).suffix.lower() in (".npz", *SUFFIXES):
        return Ready(read_test(Path(data), deployed, path, label), deployed.model)
    if label:
        raise DataError("Only a table has a column of labels.", where=f"--label; {data}")
    return of_own_file(data, deployed.model)


def thread_counts(settings: BenchSettings, cores: int) -> list[int]:
    """The thread counts as numbers, each once, in the settings' order."""
    return list(dict.fromkeys(cores if t == "all" else t for t in settings.threads))


def _on_device(
    profile: DeviceSettings,
    models: Sequence[BenchModel],
    settings: BenchSettings,
    judges: dict[Path, Scores],
    more: More,
    progress: Progress,
) -> tuple[list[BenchRow], BenchMachine]:
    rows: list[BenchRow] = []
    judged: dict[tuple[Path, bool], Judged] = {}
    machine: dict[str, Any] = {}
    models = [model for model in models if RUNTIME_OF[model.format] in profile.runtimes]
    if not models:
        raise StageError(
            "None of the files runs on this device.",
            where=f"{profile.name}: it has {' and '.join(profile.runtimes)}",
        )
    with open_device(profile) as device:
        state = device.state()
        counts = thread_counts(settings, int(state["cores"]))
        counts += [0] if state.get("webgpu") else []
        if not device.timed:
            settings = settings.model_copy(update={"processes": 1})
            counts, more = [1], More()  # threads that wait for each other count instructions, too
        inputs = {scores: scores.push(device) for scores in set(judges.values())}
        done, total = 0, len(counts) * len(models) * settings.processes
        progress.step(done, total, "benchmarks")
        for threads in counts:
            results: list[list[dict[str, Any]]] = [[] for _ in models]
            for turn in range(settings.processes):
                for model, found in zip(models, results, strict=True):
                    if turn and not found:
                        continue
                    scores, judging = judges.get(model.path), (model.path, threads == 0)
                    job = _job(device, model, threads, settings)
                    job |= {} if scores is None else inputs[scores]
                    new = scores is not None and judging not in judged
                    job |= {"outputs": OUTPUTS} if new else {}
                    job |= more.fields() if turn == 0 else {}
                    seconds = job["min_seconds"] + more.stream_seconds
                    try:
                        found.append(device.run(job, PATIENCE + 2 * seconds))
                    except CannotRun as error:
                        if threads == counts[0]:
                            raise
                        _note(rows, model, error)
                        continue
                    if scores is not None and new:
                        judged[judging] = scores.judge(device, found[-1]["runtime"])
                    done += 1
                    progress.step(done, total, "benchmarks")
            for model, found in zip(models, results, strict=True):
                if found:
                    machine = machine or found[0]["machine"]
                    score = judged.get((model.path, threads == 0), (None, []))
                    rows.append(_row(device, profile, model, found, score))
    known = BenchMachine.model_fields
    return rows, BenchMachine(**{name: machine[name] for name in known if name in machine})


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
    profile: DeviceSettings,
    model: BenchModel,
    results: Sequence[dict[str, Any]],
    judged: Judged,
) -> BenchRow:
    score, metrics = judged
    known = {
        "model": str(model.path),
        "stage": model.stage,
        "seed": model.seed,
        "precision": model.precision,
        "device": device.name,
        "bytes": model.path.stat().st_size,
        "accuracy": score,
        "metrics": metrics,
    }
    if device.timed:
        return gather(results, known)
    return gather_emulated(results[0], {**known, "emulated": profile.processor}, device.notes)


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


def _relative(path: str, folder: Path) -> str:
    absolute, base = Path(path).absolute(), folder.absolute()
    return str(absolute.relative_to(base)) if absolute.is_relative_to(base) else path
