"""Export: ONNX and TFLite files of one network, proven to answer as torch does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.config.base import Settings
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import BY_ONNX2TF, ExportSettings
from edgekd.environments import EnvironmentMissing
from edgekd.errors import ConfigError, StageError
from edgekd.export.routes import routes
from edgekd.results import ModelFigures, ParityFigures
from edgekd.stages.base import Job, Made
from edgekd.stages.export_facts import describe, golden
from edgekd.stages.export_files import RANGE_SAMPLES, Variant, Writer, variants
from edgekd.stages.export_recordings import takes_recordings, write_for_recordings
from edgekd.stages.export_routes import Judge, Written, calibration_of, write_routed
from edgekd.stages.networks import saved_network
from edgekd.stages.quantize import FLOAT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.data.dataset import Dataset
    from edgekd.export.parity import Comparison
    from edgekd.spec import DeployedSpec, Precision, Task


COMPARED_AS = {"onnx": "onnxruntime", "ort": "onnxruntime (.ort)", "tflite": "litert"}
"""What a file of this format is called beside the others."""
ANEW = "torch float32/litert"
"""The pair of an int8 file that onnx2tf quantized: it has no network in torch to agree with."""


class ExportStage(Settings):
    """What the stage may know."""

    role: Literal["teacher", "student"]
    """Whose network it is. A teacher that cannot be exported is only a warning: nobody deploys
    it, and its files are there for comparison."""
    quantized: bool
    """Whether the network is in quantization-aware form."""
    calibration: int | None = None
    """Training samples that onnx2tf quantizes with; None where the quantization was trained."""
    export: ExportSettings
    """Formats and precisions."""


def run(job: Job[ExportStage]) -> Made:
    """Writes the files and compares them on validation samples.

    Raises:
        StageError: an operator cannot be exported, or the runtimes do not agree.
    """
    try:
        return _export(job)
    except EnvironmentMissing:
        raise  # it may be there at the next call, and a finished stage is not made again
    except StageError as error:
        if job.settings.role == "student":
            raise
        return Made(
            note="left out",
            warnings=[f"The teacher is not measured as a deployed file: {error.what}"],
        )


@dataclass
class _Found:
    """What the stage found out, precision by precision."""

    models: list[ModelFigures] = field(default_factory=list)
    parity: list[ParityFigures] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    int8: DeployedSpec | None = None
    """The int8 file, in whose output's steps the others are judged."""


def _export(job: Job[ExportStage]) -> Made:
    from edgekd.data.dataset import load

    settings = job.settings
    data = load(job.inputs["data"])
    source = job.inputs[settings.role]
    network = saved_network(source / FLOAT if settings.quantized else source, job.base)
    spec, precisions = network.spec, settings.export.precisions
    # Of recordings, files that take them as they are are written beside those that take features.
    raw = settings.export.preprocess == "baked" and not takes_recordings(spec)
    writer = Writer(spec, lambda: calibration_of(data, RANGE_SAMPLES, job.seed), baked=raw)
    found = _Found()
    for variant in variants(precisions, settings.quantized, network.model, spec, source):
        _in_precision(job, variant, writer, data, found)
    if settings.export.golden:
        golden(job.out, found.models, data, settings.export.golden)
    found.warnings += _saturation(job.out, found.models)
    warnings = list(dict.fromkeys(found.warnings))
    for text in warnings:
        job.progress.message(f"warning: {text}")
    models, parity = found.models, found.parity
    note = f"{len(models)} files" if len(models) > 1 else "1 file"
    agreed = [row.agreement for row in parity if row.pair != ANEW]
    note += f", runtimes agree on {min(agreed):.2%}" if agreed else ""
    return Made(note=note, models=models, parity=parity, warnings=warnings)


def _saturation(folder: Path, models: Sequence[ModelFigures]) -> list[str]:
    """Whether the int8 sums of an .onnx file may be wrong on this processor."""
    from edgekd.devices.machine import describe_machine
    from edgekd.runtimes.saturation import warning

    instructions = describe_machine().instructions
    int8 = [model for model in models if model.format == "onnx" and "int8" in model.precision]
    told = (warning(folder / model.path, instructions) for model in int8)
    return [text for text in told if text is not None]


def _in_precision(
    job: Job[ExportStage], variant: Variant, writer: Writer, data: Dataset, found: _Found
) -> None:
    """Writes the files of one precision and compares them."""
    from edgekd.models.count import macs, parameters

    settings, spec, precision = job.settings, writer.spec, variant.precision
    size, work = parameters(variant.plain), macs(variant.plain, data.spec)
    x = _samples(data, settings.export.parity_samples, baked=writer.baked)
    y = data.validation.y[: settings.export.parity_samples]
    reference = _torch_logits(variant.reference, x)
    shown = _shown(writer)
    outputs = {"torch": shown(reference)}
    judge = Judge(spec, x, y, reference, precision, partial(_step, reference, found.int8))
    for form in sorted(settings.export.formats, key="ort".__eq__):  # after its .onnx
        job.progress.message(f"{settings.role} to {form}, {precision}")
        path = job.out / f"{settings.role}-{precision}.{form}"
        made = _make(job, form, variant, path, judge, data, writer)
        found.warnings += made.warnings
        found.warnings += describe(path, made.told, settings.export.metadata, job.progress)
        if made.anew is not None:
            found.parity.append(_figures(job, precision, ANEW, made.anew))
        else:
            outputs[COMPARED_AS[form]] = shown(_runtime_logits(path, x))
            found.int8 = made.told if precision == "int8" else found.int8
        figures = ModelFigures(
            stage=settings.role,
            seed=job.seed,
            format=form,
            precision=precision,
            path=path.name,
            bytes=path.stat().st_size,
            parameters=size,
            macs=work,
        )
        found.models.append(figures)
    unit = _unit(reference, found.int8, writer, precision)
    found.parity += _compare(job, precision, outputs, unit, data.task)
    if settings.export.preprocess == "baked" and not writer.baked:
        stem = f"{settings.role}-{precision}"
        compared = write_for_recordings(job.out, stem, spec, variant, settings.export.formats)
        found.parity += [_figures(job, precision, *each) for each in compared.items()]


def _samples(data: Dataset, count: int, *, baked: bool) -> Any:
    """Normalised validation samples: as pixels, where the files take those."""
    from edgekd import inputs
    from edgekd.export.baked import as_pixels

    few = inputs.take(data.validation.x, slice(count))
    return data.spec.normalise(as_pixels(few, data.spec) if baked else few)


def _shown(writer: Writer) -> Callable[[Any], NDArray[Any]]:
    """What is compared of outputs: probabilities, where the files give those."""
    import numpy as np

    from edgekd.export.baked import comparable

    return partial(comparable, spec=writer.spec) if writer.baked else np.asarray


def _unit(
    reference: NDArray[np.float32], int8: DeployedSpec | None, writer: Writer, precision: Precision
) -> float:
    """What differences are counted in."""
    from edgekd.export.baked import comparison_step

    if writer.baked and writer.spec.task != "regression":
        return comparison_step(reference, precision)
    return _step(reference, int8)


def _step(
    reference: NDArray[np.float32], int8: DeployedSpec | None, own: DeployedSpec | None = None
) -> float:
    """The unit of differences: the step of the file's own int8 output, or of the int8 file's."""
    from edgekd.export.parity import quantization_step

    quantized = own is not None and own.output_quantization is not None
    return quantization_step(reference, own if quantized else int8)


def _make(
    job: Job[ExportStage],
    form: str,
    variant: Variant,
    path: Path,
    judge: Judge,
    data: Dataset,
    writer: Writer,
) -> Written:
    """Writes one file; the routes differ for TFLite files of the first two precisions only."""
    if form != "tflite" or variant.precision not in BY_ONNX2TF or writer.baked:
        return Written(writer.write(form, variant, path))
    settings = job.settings
    trained = variant.precision == "int8" and settings.calibration is None
    return write_routed(
        path,
        judge,
        routes(settings.export, trained_int8=trained),
        write=lambda: writer.write(form, variant, path),
        plain=variant.plain,
        calibration=lambda: calibration_of(data, settings.calibration or 0, job.seed),
        progress=job.progress,
    )


def _torch_logits(model: nn.Module, x: Any) -> NDArray[np.float32]:
    from edgekd import inputs
    from edgekd.train.evaluate import logits_of

    return logits_of(model, inputs.tensors(x)).numpy()


def _runtime_logits(path: Path, x: Any) -> NDArray[np.float32]:
    from edgekd.runtimes import load

    return load(path).run(x)


def _compare(
    job: Job[ExportStage],
    precision: str,
    outputs: dict[str, NDArray[np.float32]],
    step: float,
    task: Task,
) -> list[ParityFigures]:
    """Every pair of outputs, and an error if one of them disagrees."""
    from itertools import combinations

    from edgekd.export.parity import check, compare

    settings = job.settings
    rows = []
    for (name, left), (other, right) in combinations(outputs.items(), 2):
        pair = f"{name}/{other}"
        comparison = compare(left, right, step, task)
        check(comparison, pair=f"{settings.role}: {pair}", precision=precision)
        rows.append(_figures(job, precision, pair, comparison))
    return rows


def _figures(
    job: Job[ExportStage], precision: str, pair: str, comparison: Comparison
) -> ParityFigures:
    return comparison.figures(
        stage=job.settings.role, seed=job.seed, precision=precision, pair=pair
    )


def export_folder(
    source: Path, out: Path, formats: tuple[str, ...], precisions: tuple[str, ...] = ()
) -> list[Path]:
    """Exports a saved network (float, or the artefact of a quantize stage) without a pipeline.

    Args:
        source: a folder that holds a saved model, such as runs/NAME/quantize-KEY.
        out: where the files go; made if need be.
        formats: of "onnx", "tflite" and "ort", which is made of the onnx file.
        precisions: float32 and, of a quantize stage's artefact, int8, if left out.

    Returns:
        The files. They are not compared with torch here, because no samples are at hand; the
        pipeline's export stage does that.

    Raises:
        ConfigError: the folder holds no saved model, a format or a precision is unknown, or there
            is no such file: int8 of a float network, int16x8 without samples.
        StageError: an operator cannot be exported.
    """
    unknown = sorted(set(formats) - set(RUNTIME_OF))
    if unknown:
        raise ConfigError(f"{unknown[0]} is no format.", fix="--format onnx, tflite or ort")
    if "ort" in formats and "onnx" not in formats:
        raise ConfigError("ort is made of the onnx file.", fix="--format onnx --format ort")
    quantized = (source / FLOAT).is_dir()
    folder = source / FLOAT if quantized else source
    if not (folder / "model.json").is_file():
        raise ConfigError(
            "There is no saved model in this folder.",
            where=str(source),
            fix="give the artefact of a stage, such as runs/NAME/distill-KEY",
        )
    wanted = _known(precisions, quantized, source) if precisions else ExportSettings().precisions
    network = saved_network(folder, Path.cwd())
    out.mkdir(parents=True, exist_ok=True)
    written = []
    writer = Writer(network.spec)
    for variant in variants(wanted, quantized, network.model, network.spec, source):
        for form in sorted(formats, key="ort".__eq__):
            path = out / f"model-{variant.precision}.{form}"
            writer.write(form, variant, path)
            written.append(path)
    return written


def _known(precisions: tuple[str, ...], quantized: bool, source: Path) -> list[Precision]:
    """The precisions that can be made without samples, or a ConfigError."""
    from typing import get_args

    from edgekd.spec import Precision

    known: dict[str, Precision] = {each: each for each in get_args(Precision)}
    for each in precisions:
        if each not in known:
            raise ConfigError(f"{each} is no precision.", fix=f"take one of {', '.join(known)}")
    if "int16x8" in precisions:
        raise ConfigError(
            "int16x8 needs training samples for its ranges, and there are none here.",
            fix="name it in export.precisions of a pipeline file",
        )
    if "int8" in precisions and not quantized:
        raise ConfigError(
            "int8 needs a network that was quantized.",
            where=str(source),
            fix="give the artefact of the stage quantize, or take int8-dynamic or int8-weights",
        )
    return [known[each] for each in precisions]
