"""Finds the ranges of activations from data, and says what is wrong with the data."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from edgekd.compress.observers import BULK
from edgekd.compress.prepared import Prepared
from edgekd.errors import StageError
from edgekd.inputs import call, named

LEAST_STEPS = 4.0
"""Steps that most of a tensor's values must reach, or they are all but lost."""


def calibrate(prepared: Prepared, batches: Iterable[Any]) -> list[str]:
    """Observes the ranges of activations in float; a batch is (N, *shape), or several by name.

    Returns:
        Warnings: layers in which few huge values stretch the range, so that int8 hardly resolves
        the others.

    Raises:
        StageError: `batches` is empty, of other shapes than the network's inputs, all the same
            number, or leads to values that are no numbers.
    """
    for name, parameter in prepared.graph_module.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            raise StageError(
                "The network has weights that are no finite numbers.",
                where=f"layer {name.rpartition('.')[0]}: {name}",
                fix="train it again, or take an earlier checkpoint",
            )
    quantizers = list(prepared.fake_quantizers())
    observed = prepared.layers()
    was_training = prepared.training
    prepared.eval()
    prepared.observe(True)
    for quantizer in quantizers:
        quantizer.disable_fake_quant()
    for activation in observed:
        activation.forget()
    varied, empty = False, True
    try:
        with torch.no_grad():
            for batch in batches:
                varied = _check(prepared, batch) or varied
                empty = False
                call(prepared, batch)
                _check_numbers(prepared)
        if not (varied or empty):
            raise StageError(
                "All calibration data is the same number.",
                where="an input of the network",
                fix="calibrate with real samples, prepared as those of the training",
            )
        prepared.require_ranges()
        for activation in observed:
            activation.settle()
    finally:
        for quantizer in quantizers:
            quantizer.enable_fake_quant()
        prepared.train(was_training)
    return _warnings(prepared)


def _check(prepared: Prepared, batch: Any) -> bool:
    """Whether the floating-point inputs hold different numbers; others than the network's raise."""
    parts = named(batch)
    given = {name: tuple(part.shape[1:]) for name, part in parts.items()}
    wanted = {name: shape for name, (shape, _) in prepared.like.items()}
    if given != wanted:
        raise StageError(
            "Calibration data has another shape than the network's input.",
            where=f"given {_told(given)}, wanted {_told(wanted)}, each after the batch",
            fix="calibrate with samples as the network takes them",
        )
    floats = [part for part in parts.values() if part.is_floating_point()]
    if not all(bool(torch.isfinite(part).all()) for part in floats):
        raise StageError(
            "Calibration data holds values that are no finite numbers.",
            where="an input of the network",
            fix="leave out or repair such samples",
        )
    return not floats or any(part.numel() > 0 and part.min() < part.max() for part in floats)


def _told(shapes: dict[str, tuple[int, ...]]) -> str:
    return ", ".join(f"{name} {shape}".strip() for name, shape in shapes.items())


def _check_numbers(prepared: Prepared) -> None:
    for quantizer, layer in prepared.layers().items():
        if not quantizer.finite:
            raise StageError(
                "The network gives values that are no finite numbers.",
                where=f"layer {layer}",
                fix="see what the float network computes there: a division by zero, a logarithm",
            )


def _warnings(prepared: Prepared) -> list[str]:
    found = []
    for quantizer, layer in prepared.layers().items():
        bulk = quantizer.bulk()
        if bulk < LEAST_STEPS:
            found.append(
                f"Layer {layer}: a few huge values stretch its int8 range, so that {BULK:.0%} of "
                f"the others lie within {bulk:.2g} steps. Look for wrong samples, set "
                f"quantize.ranges to percentile (ptq), or name the layer in quantize.keep_float."
            )
    return found
