"""Quality: the deployed files beyond their accuracy on clean samples."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.config.base import Settings
from edgekd.config.quality import QualitySettings
from edgekd.results import ModelFigures, QualityFigures
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import WEIGHTS, saved_network
from edgekd.stages.quantize import FLOAT
from edgekd.stages.teachers import FILE
from edgekd.store import MANIFEST, read_json

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgekd.data.dataset import Dataset
    from edgekd.quality.asking import Chosen, File
    from edgekd.quality.robustness import Outputs, Score, Shifted

ROLES = (("teacher", "teacher", "float32"), ("float32", "student", "float32"),
         ("int8", "student", "int8"))  # fmt: skip
"""The files that are looked at: role, stage, precision."""
CLASSIFIERS = ("classification", "binary")


class QualityStage(Settings):
    """What the stage may know."""

    quality: QualitySettings
    """What is looked at."""
    format: Literal["tflite", "onnx"]
    """Of the deployed files."""
    quantized: bool
    """Whether the student's network is in quantization-aware form."""


def run(job: Job[QualityStage]) -> Made:
    """Asks the files about test samples, clean and shifted.

    Raises:
        EdgekdError: a file cannot be loaded or does not run.
    """
    from edgekd.data.dataset import load
    from edgekd.quality.asking import ask, ask_shifted, choose
    from edgekd.quality.robustness import warn
    from edgekd.quality.shifts import shifts_for

    settings = job.settings.quality
    data = load(job.inputs["data"])
    files = _files(job)
    shifts = shifts_for(data.spec, settings)
    chosen = choose(
        files,
        data,
        len(shifts),
        samples=settings.samples,
        seconds=settings.seconds,
        seed=job.seed,
    )
    counts = f"{len(chosen.clean):,} test samples, {len(chosen.shifted):,} of them shifted"
    job.progress.message(counts)
    clean = ask(files, data.test, chosen.clean, data)
    shifted = ask_shifted(files, data, chosen.shifted, shifts, clean, job.seed, job.progress)
    figures = _robustness(job, files, data, chosen, shifted)
    if data.task in CLASSIFIERS:
        _calibrate(job, figures, files, data, chosen, clean)
    warnings = _fewer(data, chosen, settings)
    if data.task in CLASSIFIERS:
        warnings += warn(figures, shifted, data.test.y[chosen.shifted])
    return Made(note=_note(figures, counts), quality=list(figures.values()), warnings=warnings)


def _files(job: Job[QualityStage]) -> list[File]:
    """The files in the deployed format. Where the teacher or the float32 student has none, its
    network answers in torch.
    """
    from edgekd.quality.asking import File
    from edgekd.runtimes import load

    files = []
    for role, stage, precision in ROLES:
        if stage not in job.inputs:  # a teacher without a network
            continue
        folder = job.inputs[stage]
        models = [ModelFigures.model_validate(m) for m in read_json(folder / MANIFEST)["models"]]
        found = {m.format: m.path for m in models if m.precision == precision}
        name = found.get(job.settings.format)
        if name is None and (folder / FILE).is_file():
            name = FILE  # a teacher that was given as an .onnx file
        if name is not None:
            runtime = load(folder / name)
            path = f"{folder.name}/{name}"
            files.append(File(role, stage, precision, path, runtime.name, runtime.run))
        elif precision == "float32":
            files.append(_in_torch(job, role, stage))
    return files


def _in_torch(job: Job[QualityStage], role: str, stage: str) -> File:
    from edgekd import inputs
    from edgekd.quality.asking import File
    from edgekd.train.evaluate import logits_of

    folder = job.inputs[f"{stage}-network"]
    inside = FLOAT if stage == "student" and job.settings.quantized else ""
    model = saved_network(folder / inside, job.base).model.eval()

    def answer(x: Any) -> NDArray[np.float32]:
        return logits_of(model, inputs.tensors(x)).numpy()

    path = Path(folder.name, inside, WEIGHTS).as_posix()
    return File(role, stage, "float32", path, "torch", answer)


def _score(data: Dataset, index: NDArray[np.int64]) -> Score:
    """The task's headline score of outputs for test samples."""
    from edgekd.tasks import metrics

    spec, y = data.model_spec(""), data.test.y[index]
    return lambda outputs, runtime: metrics.score(spec, outputs, y, runtime=runtime, split="test")


def _robustness(
    job: Job[QualityStage],
    files: list[File],
    data: Dataset,
    chosen: Chosen,
    shifted: Mapping[str, Shifted],
) -> dict[str, QualityFigures]:
    """Figures by role, without the calibration."""
    from edgekd.quality.robustness import mean_accuracy, mean_score, shift_figures

    score = _score(data, chosen.shifted)
    y = data.test.y[chosen.shifted] if data.task in CLASSIFIERS else None
    reference = shifted.get("float32")
    found: dict[str, QualityFigures] = {}
    for file in files:
        ours = shifted[file.role]
        rows = shift_figures(ours, score, file.runtime, y, reference)
        mean = mean_score(rows) if y is None else mean_accuracy(ours.right(y))
        teacher = found["teacher"].shifted if "teacher" in found else None
        found[file.role] = QualityFigures(
            model=file.path,
            stage=file.stage,
            seed=job.seed,
            precision=file.precision,
            runtime=file.runtime,
            clean=score(ours.clean, file.runtime),
            shifted=mean,
            retention=mean.value / teacher.value
            if mean and teacher and teacher.value > 0
            else None,
            shifts=rows,
        )
    return found


def _calibrate(
    job: Job[QualityStage],
    figures: Mapping[str, QualityFigures],
    files: list[File],
    data: Dataset,
    chosen: Chosen,
    clean: Mapping[str, Outputs],
) -> None:
    """Adds a classifier's calibration to its figures."""
    from edgekd.quality.asking import ask
    from edgekd.quality.calibration import calibration

    validation = ask(files, data.validation, chosen.validation, data)
    y, fitted_on = data.test.y[chosen.clean], data.validation.y[chosen.validation]
    for role, outputs in clean.items():
        figures[role].calibration = calibration(outputs, y, (validation[role], fitted_on), job.seed)


def _fewer(data: Dataset, chosen: Chosen, settings: QualitySettings) -> list[str]:
    """Says it where the time did not suffice."""
    wanted = min(len(data.test), settings.samples)
    if len(chosen.shifted) == wanted:
        return []
    return [
        f"The models are slow: calibration is of {len(chosen.clean):,} and shifts of "
        f"{len(chosen.shifted):,} of {wanted:,} samples. More are taken with quality.seconds above "
        f"{settings.seconds:g}."
    ]


def _note(figures: Mapping[str, QualityFigures], counts: str) -> str:
    """The deployed file's result in a few words."""
    from edgekd.tasks.names import shown, title

    final = list(figures.values())[-1]
    parts = []
    if final.shifted is not None:
        metric = final.clean.metric
        after, before = shown(final.shifted.value, metric), shown(final.clean.value, metric)
        parts.append(f"{title(metric)} {after} under shift ({before} clean)")
    if final.calibration is not None:
        parts.append(f"calibration error {final.calibration.ece.value:.1%}")
    return ", ".join(parts) or counts
