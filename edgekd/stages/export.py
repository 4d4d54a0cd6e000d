"""Export: ONNX and TFLite files of one network, proven to answer as torch does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.config.base import Settings
from edgekd.config.pipeline import RUNTIME_OF
from edgekd.config.stages import ExportSettings
from edgekd.errors import ConfigError, StageError
from edgekd.results import ModelFigures, ParityFigures
from edgekd.stages.base import Job, Made
from edgekd.stages.networks import saved_network
from edgekd.stages.quantize import FLOAT

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.spec import DeployedSpec, ModelSpec, Task


class ExportStage(Settings):
    """What the stage may know."""

    role: Literal["teacher", "student"]
    """Whose network it is. A teacher that cannot be exported is only a warning: nobody deploys
    it, and its files are there for comparison."""
    quantized: bool
    """Whether the network is in quantization-aware form."""
    export: ExportSettings
    """Formats and precisions."""


@dataclass(frozen=True)
class _Variant:
    """One precision of the network: the graph that each converter wants, and what torch says."""

    precision: Literal["float32", "int8"]
    modules: dict[str, nn.Module]
    reference: nn.Module


def run(job: Job[ExportStage]) -> Made:
    """Writes the files and compares them on validation samples.

    Raises:
        StageError: an operator cannot be exported, or the runtimes do not agree.
    """
    try:
        return _export(job)
    except StageError as error:
        if job.settings.role == "student":
            raise
        return Made(
            note="left out",
            warnings=[f"The teacher is not measured as a deployed file: {error.what}"],
        )


def _export(job: Job[ExportStage]) -> Made:
    from edgekd import inputs
    from edgekd.data.dataset import load
    from edgekd.export.parity import quantization_step
    from edgekd.models.count import macs, parameters

    settings = job.settings
    data = load(job.inputs["data"])
    source = job.inputs[settings.role]
    network = saved_network(source / FLOAT if settings.quantized else source, job.base)
    size, work = parameters(network.model), macs(network.model, data.spec)
    few = inputs.take(data.validation.x, slice(settings.export.parity_samples))
    x = data.spec.normalise(few)
    models: list[ModelFigures] = []
    parity: list[ParityFigures] = []
    int8: DeployedSpec | None = None
    for variant in _variants(settings.export, settings.quantized, network.model, source):
        outputs = {"torch": _torch_logits(variant.reference, x)}
        for form in settings.export.formats:
            job.progress.message(f"{settings.role} to {form}, {variant.precision}")
            path = job.out / f"{settings.role}-{variant.precision}.{form}"
            written = _write(form, variant, network.spec, path)
            if variant.precision == "int8":
                int8 = written
            outputs[RUNTIME_OF[form]] = _runtime_logits(path, x)
            models.append(
                ModelFigures(
                    stage=settings.role,
                    seed=job.seed,
                    format=form,
                    precision=variant.precision,
                    path=path.name,
                    bytes=path.stat().st_size,
                    parameters=size,
                    macs=work,
                )
            )
        step = quantization_step(outputs["torch"], int8)
        parity += _compare(job, variant.precision, outputs, step, data.task)
    least = min(row.agreement for row in parity)
    files = f"{len(models)} files" if len(models) > 1 else "1 file"
    return Made(note=f"{files}, runtimes agree on {least:.2%}", models=models, parity=parity)


def _variants(
    settings: ExportSettings, quantized: bool, network: nn.Module, source: Path
) -> list[_Variant]:
    """The precisions to export, int8 first: its output step judges the float files as well."""
    from edgekd.compress import quantize

    wanted = settings.precisions
    variants = []
    if quantized and "int8" in wanted:
        prepared = quantize.load(network, source)
        folded = quantize.convert(prepared, fold=True)
        modules: dict[str, nn.Module] = {
            "onnx": folded,
            "tflite": quantize.convert(prepared, fold=False),
        }
        variants.append(_Variant("int8", modules, folded))
    if "float32" in wanted or not variants:
        network = network.eval()
        variants.append(_Variant("float32", {"onnx": network, "tflite": network}, network))
    return variants


def _write(form: str, variant: _Variant, spec: ModelSpec, path: Path) -> DeployedSpec:
    from edgekd.export.onnx_file import export_onnx
    from edgekd.export.tflite_file import export_tflite

    write = export_onnx if form == "onnx" else export_tflite
    return write(variant.modules[form], spec, path, precision=variant.precision)


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
        rows.append(
            comparison.figures(stage=settings.role, seed=job.seed, precision=precision, pair=pair)
        )
    return rows


def export_folder(source: Path, out: Path, formats: tuple[str, ...]) -> list[Path]:
    """Exports a saved network (float, or the artefact of a quantize stage) without a pipeline.

    Args:
        source: a folder that holds a saved model, such as runs/NAME/quantize-KEY.
        out: where the files go; made if need be.
        formats: of "onnx" and "tflite".

    Returns:
        The files. They are not compared with torch here, because no samples are at hand; the
        pipeline's export stage does that.

    Raises:
        ConfigError: the folder holds no saved model, or a format is unknown.
        StageError: an operator cannot be exported.
    """
    unknown = sorted(set(formats) - set(RUNTIME_OF))
    if unknown:
        raise ConfigError(f"{unknown[0]} is no format.", fix="--format onnx or --format tflite")
    quantized = (source / FLOAT).is_dir()
    folder = source / FLOAT if quantized else source
    if not (folder / "model.json").is_file():
        raise ConfigError(
            "There is no saved model in this folder.",
            where=str(source),
            fix="give the artefact of a stage, such as runs/NAME/distill-KEY",
        )
    network = saved_network(folder, Path.cwd())
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for variant in _variants(ExportSettings(), quantized, network.model, source):
        for form in formats:
            path = out / f"model-{variant.precision}.{form}"
            _write(form, variant, network.spec, path)
            written.append(path)
    return written
