"""Samples that are one array or, for a model with several inputs, arrays by name.

    x: Array | Tensor                      one input
    x: dict[str, Array | Tensor]           several, in the order of the spec

Everything that handles samples does it through these functions, so that a network with several
inputs passes through the whole pipeline, and one with a single input as if they were not there.
A network gets several inputs by position: `model(*x.values())`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekd.spec import Inputs, InputSpec, NamedInputs

if TYPE_CHECKING:
    import torch
    from torch import Tensor

SINGLE = ""
"""The name under which `named` gives the only input."""


def named(x: Any) -> dict[str, Any]:
    """The arrays by name; a single one has the name ""."""
    return dict(x) if isinstance(x, Mapping) else {SINGLE: x}


def arguments(x: Any) -> tuple[Any, ...]:
    """What a network is called with: its inputs in the spec's order."""
    return tuple(x.values()) if isinstance(x, Mapping) else (x,)


def length(x: Any) -> int:
    """Number of samples."""
    return len(arguments(x)[0])


def apply(function: Callable[[Any], Any], x: Any) -> Any:
    """`function` of every array, in the form of `x`."""
    if isinstance(x, Mapping):
        return {name: function(part) for name, part in x.items()}
    return function(x)


def take(x: Any, index: Any) -> Any:
    """The samples at `index`: whatever an array can be indexed by."""
    return apply(lambda part: part[index], x)


def split(x: Any, size: int) -> Iterator[Any]:
    """All samples in their order, `size` at a time."""
    return (take(x, slice(start, start + size)) for start in range(0, length(x), size))


def call(model: Callable[..., Any], x: Any) -> Any:
    """The network's answer to one input or several."""
    return model(*arguments(x))


def batch_axes(model: Any, x: Any, size: Any) -> Any:
    """What torch.export is to know of the inputs' shapes: `size` names the first axis of each.

    It wants the inputs of a `forward(self, *inputs)` together.
    """
    axes = tuple({0: size} for _ in arguments(x))
    taken = inspect.signature(model.forward).parameters.values()
    gathered = any(parameter.kind is parameter.VAR_POSITIONAL for parameter in taken)
    return (axes,) if gathered else axes


def zeros(spec: Inputs, batch: int, device: torch.device | None = None) -> Any:
    """Samples of zeros: (batch, *shape) float32, or int32 for categories, of every input."""
    import torch

    def one(part: InputSpec) -> Tensor:
        dtype = torch.int32 if part.dtype == "int32" else torch.float32
        return torch.zeros(batch, *part.shape, dtype=dtype, device=device)

    if isinstance(spec, NamedInputs):
        return {part.name: one(part) for part in spec.inputs}
    return one(spec)


def tensors(arrays: Any, device: torch.device | None = None) -> Any:
    """Arrays as tensors on a device, images channels last in memory."""
    import torch

    def one(array: NDArray[Any]) -> Tensor:
        tensor = torch.from_numpy(np.ascontiguousarray(array)).to(device)
        if tensor.ndim == 4:
            return tensor.contiguous(memory_format=torch.channels_last)
        return tensor

    return apply(one, arrays)


def describe(spec: Inputs, batch: str = "N") -> str:
    """The shapes in words, for errors: "(N, 3, 32, 32)", or "numbers (N, 4), codes (N, 2)"."""

    def one(part: InputSpec) -> str:
        return f"({', '.join((batch, *map(str, part.shape)))})"

    if isinstance(spec, NamedInputs):
        return ", ".join(f"{part.name} {one(part)}" for part in spec.inputs)
    return one(spec)
