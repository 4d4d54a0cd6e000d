"""Measuring files: processes of the agent, in which the files take turns."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from edgekd.bench.any_source import Ready, of_foreign_file, of_own_file
from edgekd.bench.data import Test, read_test
from edgekd.bench.fleet import named_devices, on_each
from edgekd.bench.raw import RawFiles, measure_raw, raw_files
from edgekd.bench.result import BenchResult, BenchRow
from edgekd.bench.rounds import on_device
from edgekd.bench.scenario import LEAST_QUERIES
from edgekd.bench.scores import Scores
from edgekd.bench.visit import BenchModel, More
from edgekd.config.device import DeviceSettings
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import BenchSettings, OnnxInput
from edgekd.data.table_file import SUFFIXES
from edgekd.errors import ConfigError, DataError, StageError
from edgekd.keys import installed_version
from edgekd.progress import SILENT, Progress
from edgekd.results import BenchFigures
from edgekd.runtimes import load
from edgekd.runtimes.loaded import LoadedFile, check_file
from edgekd.runtimes.probe import probe
from edgekd.spec import ModelSpec


def measure(
    models: Sequence[BenchModel],
    settings: BenchSettings,
    *,
    test: Test | None = None,
    spec: ModelSpec | None = None,
    run_folder: Path,
    base: Path | None = None,
    profiled: Collection[Path] = (),
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
        profiled: files whose time by operator is wanted.
        told: gets a sentence for each device that failed while another one did not.

    Raises:
        ConfigError: a device profile is wrong, or no file has a runtime that is asked for.
        StageError: no device can be reached, or a file runs on none.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-test-") as folder:
        scores = None if test is None else Scores(test, spec, Path(folder))
        judges = {} if scores is None else {model.path: scores for model in models}
        more = More(profile=profiled)
        result = _measure(models, settings, judges, base=base, more=more, progress=progress)
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
        settings: names in `devices` may be patterns, such as `pi-*`.
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
    given, more = given or OnnxInput(), more or More()
    settings = settings.model_copy(update={"devices": named_devices(settings.devices)})
    if more.raw:
        _check_raw(settings, data)
    if more.scenario == "single-stream":
        least = max(settings.min_runs, LEAST_QUERIES)
        settings = settings.model_copy(update={"min_runs": least})
    models: list[BenchModel] = []
    judges: dict[Path, Scores] = {}
    notes: dict[str, Sequence[str]] = {}
    raw: dict[str, RawFiles] = {}
    with tempfile.TemporaryDirectory(prefix="edgekd-test-") as folder:
        for number, path in enumerate(paths):
            file, model = _opened(path, given)
            models.append(model)
            if data is not None:
                inputs = Path(folder) / str(number)
                inputs.mkdir()
                if more.raw:
                    raw[str(path)] = raw_files(str(data), file.describe(), path, inputs)
                ready = _ready(str(data), file, path, given, label)
                judges[path] = Scores(
                    ready.test, ready.spec, inputs, given.output, foreign=ready.foreign
                )
                notes[str(path)] = ready.notes
        result = _measure(models, settings, judges, more=more, host=host, progress=progress)
        if more.raw:
            result.rows = measure_raw(result.rows, raw, settings)
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
    more: More,
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
    done, failed = on_each(
        profiles,
        lambda device: on_device(device, wanted, settings, judges, more, progress),
    )
    rows = [row for found, _machine in done.values() for row in found]
    machines = {name: machine for name, (_found, machine) in done.items()}
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


def _check_raw(settings: BenchSettings, data: str | Path | None) -> None:
    """Whether files can be decoded where they are asked for."""
    from edgekd.config.load import load_device

    if data is None:
        raise ConfigError(
            "There are no files to start from.",
            where="--from raw",
            fix="name a folder or .zip of pictures or recordings with --data",
        )
    for name in settings.devices:
        if load_device(name).kind != "local":
            raise ConfigError(
                "Only this machine decodes and preprocesses with edgekd.",
                where=f"--from raw; {name}",
                fix="measure there without --from raw, or run edgekd there",
            )


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


def _relative(path: str, folder: Path) -> str:
    absolute, base = Path(path).absolute(), folder.absolute()
    return str(absolute.relative_to(base)) if absolute.is_relative_to(base) else path
