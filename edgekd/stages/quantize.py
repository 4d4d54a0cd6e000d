"""Quantize: the student in int8, trained through fake quantizers or only calibrated."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.methods import Method, needs_features, without_features
from edgekd.config.stages import QuantizeSettings
from edgekd.stages.base import CHECKPOINT, Job, Made
from edgekd.stages.diagnosis import affordable, figures_of, of_samples
from edgekd.stages.keep_float import worst_that_pay
from edgekd.stages.learning import train_network
from edgekd.stages.networks import judge, note, save_and_judge, saved_network

if TYPE_CHECKING:
    from torch import nn

WITHOUT_FEATURES = (
    "A quantization-aware network is a graph without the student's layers, so that methods on "
    "feature maps rest while it trains; those on logits and the labels go on."
)
FLOAT = "float"
"""Folder of the float network with the trained weights, inside the artefact."""


class QuantizeStage(Settings):
    """What the stage may know."""

    quantize: QuantizeSettings
    """How."""
    method: Method
    """The loss of quantization-aware training."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[QuantizeStage]) -> Made:
    """Writes the quantization-aware form and, in `float/`, the same weights without quantizers.

    Raises:
        StageError: the loss is not finite, or the network cannot be exported as a graph.
    """
    import shutil

    from edgekd import inputs
    from edgekd.compress.quantize import (
        WEIGHTS,
        calibrate,
        convert,
        float_weights_into,
        prepare_ptq,
        prepare_qat,
        save,
    )
    from edgekd.compress.reference import reference
    from edgekd.data.dataset import load
    from edgekd.models.count import macs, parameters
    from edgekd.train.batches import epoch_order, normalised
    from edgekd.train.precision import device

    settings = job.settings
    data = load(job.inputs["data"])
    student = saved_network(job.inputs["student"], job.base)
    network = student.model
    size, work = parameters(network), macs(network, data.spec)
    samples = normalised(data.train, data.spec, device())
    chosen = epoch_order(len(data.train), job.seed, 0)[: settings.quantize.calibration_samples]
    observed = inputs.apply(lambda part: part.cpu(), inputs.take(samples, chosen))
    calibration = list(inputs.split(observed, 64))
    qat = settings.quantize.mode == "qat"
    keep = settings.quantize.named_float
    if settings.quantize.keep_float == "auto":
        keep = worst_that_pay(
            network,
            calibration,
            data,
            settings=settings.quantize,
            macs=work,
            progress=job.progress,
        )
    prepared = (prepare_qat if qat else prepare_ptq)(
        network,
        inputs.take(observed, slice(4)),
        ranges=settings.quantize.ranges,
        weight_bits=settings.quantize.weight_bits,
        keep_float=keep,
    )
    warnings = [*prepared.left_float, *calibrate(prepared, calibration)]
    for text in warnings:
        job.progress.message(f"warning: {text}")
    if qat and needs_features(settings.method):
        warnings.append(WITHOUT_FEATURES)
        job.progress.message(WITHOUT_FEATURES)
    if qat:
        train_network(
            job,
            prepared,
            data,
            method=without_features(settings.method),
            settings=settings.quantize.train,
            augment=settings.augment,
            on_epoch=_stand_still(settings.quantize),
        )
    prepared = prepared.cpu()
    save(prepared, job.out)
    in_float = replace(job, out=job.out / FLOAT)
    in_float.out.mkdir(exist_ok=True)
    trained = float_weights_into(network, prepared)
    as_float = save_and_judge(in_float, trained, student.settings, data)
    as_float.path = f"{FLOAT}/{as_float.path}"
    figures = judge(
        job,
        reference(convert(prepared, fold=True)),
        data,
        precision="int8",
        weights=WEIGHTS,
        parameters=size,
        macs=work,
    )
    shutil.rmtree(job.out / CHECKPOINT, ignore_errors=True)
    told = f"{note(figures)}, int8" + (f" but for {', '.join(keep)}" if keep else "")
    few = inputs.take(data.validation.x, slice(affordable(prepared, work)))
    layers = figures_of(of_samples(prepared, data.spec.normalise(few)), job.seed, keep)
    return Made(note=told, models=[as_float, figures], layers=layers, warnings=warnings)


def _stand_still(settings: QuantizeSettings) -> Callable[[int, nn.Module], None]:
    from edgekd.compress.prepared import Prepared
    from edgekd.compress.quantize import freeze_batch_norm, freeze_observers

    epochs = settings.train.epochs

    def on_epoch(epoch: int, model: nn.Module) -> None:
        assert isinstance(model, Prepared)
        if epoch >= settings.freeze_batch_norm * epochs:
            freeze_batch_norm(model)
        if epoch >= settings.freeze_ranges * epochs:
            freeze_observers(model)

    return on_epoch
