"""The user's own networks: "module:function", or "file.py:function"."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd import inputs
from edgekd.errors import StageError
from edgekd.references import user_function
from edgekd.references import where_raised as _where_raised
from edgekd.spec import Inputs, InputSpec, NamedInputs

if TYPE_CHECKING:
    from torch import nn

SIGNATURE = "def {name}(spec: edgekd.spec.Inputs, classes: int, **arguments) -> torch.nn.Module"


def from_factory(
    reference: str,
    arguments: Mapping[str, Any],
    spec: Inputs,
    classes: int,
    base: Path | None = None,
) -> nn.Module:
    """Calls the factory, and tries its network on two samples.

    Raises:
        StageError: the factory cannot be imported or fails, or what it returns is no network from
            inputs of the spec, such as (N, *spec.shape), to (N, classes).
    """
    from torch import nn

    function = user_function(reference, base, SIGNATURE)
    try:
        network = function(spec, classes, **arguments)
    except Exception as error:
        raise StageError(
            f"{reference} failed: {type(error).__name__}: {error}",
            where=_where_raised(error, reference),
            fix=f"it is called as {SIGNATURE.format(name=function.__name__)}",
        ) from error
    if "keras" in sys.modules and isinstance(spec, InputSpec):
        from edgekd.models.library_keras import from_keras_model, is_keras

        if is_keras(network):
            network = from_keras_model(network, spec, classes, reference)
    if not isinstance(network, nn.Module):
        raise StageError(
            f"{reference} returned a {type(network).__name__}, not a torch.nn.Module.",
            where=reference,
            fix="return the network",
        )
    try_out(network, reference, spec, classes)
    return network


def try_out(network: nn.Module, reference: str, spec: Inputs, classes: int) -> None:
    """Checks on two samples that the network takes the input and gives logits.

    Raises:
        StageError: it does not; names `reference`.
    """
    import torch

    parameter = next(network.parameters(), None)
    like = parameter if parameter is not None else torch.zeros(())
    modes = [(module, module.training) for module in network.modules()]
    network.eval()
    try:
        with torch.no_grad():
            answer = inputs.call(network, inputs.zeros(spec, 2, like.device))
    except Exception as error:
        raise StageError(
            f"The network of {reference} fails on an input "
            f"{inputs.describe(spec, '2')}: "
            f"{type(error).__name__}: {error}",
            where=_where_raised(error, reference),
            fix=_forward(spec),
        ) from error
    finally:
        for module, training in modes:
            module.training = training
    if not isinstance(answer, torch.Tensor) or answer.shape != (2, classes):
        given = (
            f"({_list(answer.shape)})"
            if isinstance(answer, torch.Tensor)
            else type(answer).__name__
        )
        raise StageError(
            f"The network of {reference} answers two samples with {given}, "
            f"and not with logits (2, {classes}).",
            where=reference,
            fix="forward returns one tensor (N, classes), before any softmax",
        )


def _forward(spec: Inputs) -> str:
    if isinstance(spec, NamedInputs):
        return (
            "its forward gets the inputs by position, in the order of spec.inputs: numbers are "
            "float32, normalised, and codes of categories int32"
        )
    return "its forward gets (N, *spec.shape), float32, normalised"


def _list(shape: tuple[int, ...]) -> str:
    return ", ".join(map(str, shape))
