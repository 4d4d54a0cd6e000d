"""`keep_float: auto`: which layers stay float, because int8 costs the network more there."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.compress.diagnose import LayerDiagnosis
    from edgekd.config.stages import QuantizeSettings
    from edgekd.data.dataset import Dataset
    from edgekd.progress import Progress


def worst_that_pay(
    network: nn.Module,
    calibration: Sequence[Any],
    data: Dataset,
    *,
    settings: QuantizeSettings,
    macs: int,
    progress: Progress,
) -> tuple[str, ...]:
    """At most `allow` layers, greedily: the one with the largest share of the final error first.

    The network is calibrated without training (`ptq`), whatever follows. A layer stays float if
    the headline score on the whole validation set is then higher than without it in float, and the
    paired 95 % interval of the difference lies above 0. What is between two layers is rounded
    unless both stay float: where a layer alone does not pay, it is tried together with those that
    read its output, if that is not more than `allow`. So at most 2 x `allow` networks are
    calibrated and tried.

    Args:
        network: in float; not changed.
        calibration: batches of normalised samples.
        settings: `allow`, and how it is calibrated.
        macs: of one inference, for the number of samples of the diagnosis.
    """
    from edgekd import inputs
    from edgekd.quality.retention import change
    from edgekd.stages.diagnosis import affordable, of_samples

    spec, y = data.model_spec(""), data.validation.y
    prepared = _calibrated(network, calibration, settings, ())
    x = inputs.take(data.validation.x, slice(affordable(prepared, macs)))
    worst = of_samples(prepared, data.spec.normalise(x)).worst()[: settings.allow]
    before = _answers(prepared, data)
    kept: list[str] = []
    count = 0
    for layer in worst:
        for together, names in _candidates(layer):
            if layer.name in kept or count + together > settings.allow:
                continue
            after = _answers(_calibrated(network, calibration, settings, [*kept, *names]), data)
            gain = change(after, before, y, spec)
            pays = gain.low > 0
            progress.message(
                f"{', '.join(names)} in float: {gain.value:+.2%} ({gain.low:+.2%} to "
                f"{gain.high:+.2%}) on validation, "
                f"{'kept' if pays else 'not kept: that is within chance'}"
            )
            if pays:
                kept += names
                count += together
                before = after
    return tuple(kept)


def _candidates(layer: LayerDiagnosis) -> list[tuple[int, tuple[str, ...]]]:
    """A layer alone, and with what reads its output; operators that only move are not counted."""
    alone = (1, (layer.name,))
    if not layer.readers:
        return [alone]
    return [alone, (1 + len(layer.readers), (layer.name, *layer.movers, *layer.readers))]


def _calibrated(
    network: nn.Module, calibration: Sequence[Any], settings: QuantizeSettings, keep: Sequence[str]
) -> Any:
    from edgekd import inputs
    from edgekd.compress.quantize import calibrate, prepare_ptq

    example = inputs.take(calibration[0], slice(4))
    ranges = settings.ranges if settings.mode == "ptq" else None
    prepared = prepare_ptq(
        network, example, ranges=ranges, weight_bits=settings.weight_bits, keep_float=keep
    )
    calibrate(prepared, calibration)
    return prepared


def _answers(prepared: nn.Module, data: Dataset) -> NDArray[np.float32]:
    from edgekd.train.evaluate import predict_logits

    return predict_logits(prepared.eval(), data.validation, data.spec).numpy()
