"""Measuring files: one process of the agent for every file, device and thread count."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.bench.any_source import Ready, of_foreign_file, of_own_file
from edgekd.bench.data import Test, read_test
from edgekd.config.device import DeviceSettings
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import BenchSettings, OnnxInput
from edgekd.data.table_file import SUFFIXES
from edgekd.devices import Device, open_device
from edgekd.errors import ConfigError, DataError
from edgekd.inputs import SINGLE, named
from edgekd.progress import SILENT, Progress
from edgekd.results import Accuracy, BenchFigures, Latency, MetricFigures
from edgekd.runtimes import load
from edgekd.runtimes.loaded import LoadedFile, check_file
from edgekd.runtimes.probe import probe
from edgekd.spec import InputSpec, ModelSpec

WARMUP_SHARE = 0.2
QUICK = {"min_runs": 50, "min_seconds": 0.3, "warmup_seconds": 0.05}
PATIENCE = 600.0
"""Seconds that a job may take beside the measuring: loading, slow runs, the scores."""
OUTPUTS = "outputs.npy"
"""What a job calls the file of its outputs."""
Judged = tuple[Accuracy | None, list[MetricFigures]]


@dataclass(frozen=True)
class BenchModel:
    """A file to measure."""

    path: Path
    stage: str
    seed: int
    precision: str
    format: str
    """onnx, ort or tflite."""


def measure(
    models: Sequence[BenchModel],
    settings: BenchSettings,
    *,
    test: Test | None = None,
    spec: ModelSpec | None = None,
    run_folder: Path,
    base: Path | None = None,
    progress: Progress = SILENT,
    answer: str | None = None,
) -> list[BenchFigures]:
    """Measures every model on every device with every thread count, in its format's runtime.

    For each thread count the models come one after the other, so that figures which are compared
    lie close in time. The scores, which threads do not change, are measured once a device.

    Args:
        models: those whose runtime is not asked for are left out.
        test: normalised samples (N, *shape), float32, channels first, or of several inputs by name,
            and their targets.
        spec: what the models answer; classes of the outputs' numbers if left out.
        run_folder: the figures' paths start here where a file lies in it.
        answer: the output with the answer, of a file that does not tell; the first if left out.
        base: relative paths of device files start here; in the current folder if left out.

    Raises:
        ConfigError: a device profile is wrong, or no file has a runtime that is asked for.
        StageError: a device cannot be reached, or a file does not run there.
    """
    from edgekd.config.load import load_device

    wanted = [model for model in models if RUNTIME_OF[model.format] in settings.runtimes]
    if not wanted:
        raise ConfigError(
            f"None of the {len(models)} files runs in {' or '.join(settings.runtimes)}.",
            fix="name the runtime of an exported format in bench.runtimes",
        )
    profiles = [load_device(name, base) for name in settings.devices]
    rows: list[BenchFigures] = []
    with tempfile.TemporaryDirectory(prefix="edgekd-test-") as folder:
        scores = None if test is None else _Scores(test, spec, Path(folder), answer)
        for profile in profiles:
            rows += _on_device(profile, wanted, settings, scores, progress)
    return [row.model_copy(update={"model": _relative(row.model, run_folder)}) for row in rows]


def bench_file(
    path: Path,
    settings: BenchSettings,
    data: str | Path | None = None,
    label: Sequence[str] = (),
    progress: Progress = SILENT,
    given: OnnxInput | None = None,
) -> list[BenchFigures]:
    """Measures one .onnx, .ort or .tflite file, also one that edgekd did not export.

    Args:
        data: for the scores: of a file of edgekd's an .npz file of raw samples `x` (or `x_test`)
            and targets `y` (or `y_test`), or a table, whole; of any file the test part of what
            `edgekd.data.command_source.named_data` knows. Without it the inputs are random.
        label: the table's column of the answers, or columns, where they are not clear.
        given: how a file of unknown origin wants its input.

    Raises:
        ConfigError: the file is of another format.
        DataError: the data does not fit the model.
        EdgekdError: the file is damaged, or cannot be loaded.
    """
    form = path.suffix.lower().lstrip(".")
    if form not in RUNTIME_OF:
        raise ConfigError("This is neither an .onnx, .ort nor .tflite file.", where=str(path))
    given = given or OnnxInput()
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
    ready = None if data is None else _ready(str(data), file, path, given, label)
    rows = measure(
        [BenchModel(path, "", 0, deployed.precision if deployed else "", form)],
        settings,
        test=None if ready is None else ready.test,
        spec=None if ready is None else ready.spec,
        run_folder=Path.cwd(),
        progress=progress,
        answer=given.output,
    )
    notes = [] if ready is None else list(ready.notes)
    return [row.model_copy(update={"warnings": [*notes, *row.warnings]}) for row in rows]


def _ready(
    data: str, file: LoadedFile, path: Path, given: OnnxInput, label: Sequence[str]
) -> Ready:
    """The test data as the file takes it."""
    deployed = file.describe()
    if deployed is None:
        return of_foreign_file(data, file, path, given, label[0] if label else None)
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
    scores: _Scores | None,
    progress: Progress,
) -> list[BenchFigures]:
    rows: list[BenchFigures] = []
    judged: dict[Path, Judged] = {}
    with open_device(profile) as device:
        counts = thread_counts(settings, int(device.state()["cores"]))
        timed_only = {} if scores is None else scores.push(device)
        total = len(counts) * len(models)
        progress.step(0, total, "benchmarks")
        for threads in counts:
            for model in models:
                new = scores is not None and model.path not in judged
                data = {**timed_only, "outputs": OUTPUTS} if new else timed_only
                row = _row(device, model, threads, settings, data)
                if scores is not None and new:
                    judged[model.path] = scores.judge(device, row.runtime)
                score, metrics = judged.get(model.path, (None, []))
                rows.append(row.model_copy(update={"accuracy": score, "metrics": metrics}))
                progress.step(len(rows), total, "benchmarks")
    return rows


def _row(
    device: Device, model: BenchModel, threads: int, settings: BenchSettings, data: dict[str, Any]
) -> BenchFigures:
    length = measuring_length(settings)
    job: dict[str, Any] = {
        "model": device.push(model.path),
        "threads": threads,
        **length,
        **data,
    }
    result = device.run(job, PATIENCE + 2 * length["min_seconds"])
    return BenchFigures(
        model=str(model.path),
        stage=model.stage,
        seed=model.seed,
        precision=model.precision,
        runtime=result["runtime"],
        device=device.name,
        threads=result["threads"],
        latency_us=Latency(**result["latency_us"]),
        load_ms=result["load_ms"],
        first_us=result["first_us"],
        peak_rss_bytes=result["peak_rss_bytes"],
        rss_growth_bytes=result["rss_growth_bytes"],
        bytes=model.path.stat().st_size,
        warnings=result["warnings"],
    )


def measuring_length(settings: BenchSettings) -> dict[str, float]:
    """How long a job measures, as fields of the agent's job."""
    if settings.quick:
        return dict(QUICK)
    return {
        "min_runs": settings.min_runs,
        "min_seconds": settings.min_seconds,
        "warmup_seconds": WARMUP_SHARE * settings.min_seconds,
    }


class _Scores:
    """The test data, and what a file's outputs are worth."""

    def __init__(
        self, test: Test, spec: ModelSpec | None, folder: Path, answer: str | None = None
    ) -> None:
        x, self.y = test
        self.spec = spec
        self.answer = answer
        self.inputs: dict[str, Path] = {}
        self.received = folder / OUTPUTS
        for number, (name, values) in enumerate(named(x).items()):
            self.inputs[name] = folder / f"inputs{number}.npy"
            np.save(self.inputs[name], values, allow_pickle=False)

    def push(self, device: Device) -> dict[str, Any]:
        """The agent's field for the inputs: the path of the only one, or paths by name."""
        paths = {name: device.push(path) for name, path in self.inputs.items()}
        given = {} if self.answer is None else {"answer": self.answer}
        return {"inputs": paths.get(SINGLE, paths), **given}

    def judge(self, device: Device, runtime: str) -> Judged:
        """The headline score and every metric of the outputs that the last job wrote."""
        from edgekd.tasks import metrics

        device.pull(OUTPUTS, self.received)
        outputs = np.load(self.received, allow_pickle=False)
        outputs = outputs.reshape(len(outputs), -1)  # some files answer (N, 1, 1, C)
        spec = self.spec or _of_classes(outputs.shape[1])
        if outputs.shape[1] != len(spec.labels):
            raise DataError(
                f"The model gives {outputs.shape[1]} answers, and the data has "
                f"{len(spec.labels)} labels.",
                where=", ".join(spec.labels[:6]),
                fix="give data with the classes that the model was trained on",
            )
        return metrics.judge(spec, outputs, self.y, runtime=runtime, split="test")


def _of_classes(count: int) -> ModelSpec:
    anything = InputSpec(kind="row", shape=(1,), mean=(0.0,), std=(1.0,))
    return ModelSpec(name="", input=anything, labels=tuple(map(str, range(count))))


def _relative(path: str, folder: Path) -> str:
    absolute, base = Path(path).absolute(), folder.absolute()
    return str(absolute.relative_to(base)) if absolute.is_relative_to(base) else path
