"""Looking into a network: what its named layers put out, by forward hooks."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from types import TracebackType
from typing import Any

import torch
from torch import Tensor, nn

from edgekd import inputs
from edgekd.errors import StageError
from edgekd.models.layer_names import layer_of
from edgekd.spec import Inputs


class Taps:
    """Outputs of named layers in the latest forward pass; a context manager that hooks them.

    Hooks outlast pruning in place, `torch.compile` and DistributedDataParallel, set before or
    after; a compiled network is not compiled anew for the same taps, entered again. Of a layer that
    is called several times in a pass, the last output counts; of one whose output the next layer
    changes in place, what it was changed to.

    Args:
        model: any network; nothing of it is changed.
        names: of its layers, as in `named_modules()`, with or without those of wrappers
            (`module.`, `_orig_mod.`).
    """

    def __init__(self, model: nn.Module, names: Iterable[str]) -> None:
        self.model = model
        self.names = sorted(names)
        self.kept: dict[str, Any] = {}
        self._handles: list[torch.utils.hooks.RemovableHandle] = []

    def __enter__(self) -> Taps:
        for name in self.names:
            layer = layer_of(self.model, name)
            self._handles.append(layer.register_forward_hook(partial(_keep, self.kept, name)))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()
        self.kept.clear()

    def take(self) -> dict[str, Tensor]:
        """The outputs in float32, which are then forgotten.

        Raises:
            StageError: a layer was not called, or puts out something else than a tensor.
        """
        found = {name: as_map(self.kept.get(name), name) for name in self.names}
        self.kept.clear()
        return found


def _keep(kept: dict[str, Any], name: str, layer: nn.Module, given: Any, output: Any) -> None:
    kept[name] = output


def as_map(output: Any, name: str) -> Tensor:
    """A layer's output as a feature map.

    Raises:
        StageError: it is none.
    """
    if not isinstance(output, Tensor) or not output.is_floating_point() or output.ndim < 2:
        what = "nothing" if output is None else type(output).__name__
        raise StageError(
            f"The layer {name} puts out {what}, and not a feature map.",
            where=name,
            fix="name a layer that puts out one tensor (B, C, ...)",
        )
    return output.float()


def unwrapped(model: nn.Module) -> nn.Module:
    """The network inside `torch.compile` and DistributedDataParallel: a look at it compiles
    nothing and waits for no other process."""
    while True:
        inner = getattr(model, "_orig_mod", None)
        if isinstance(model, nn.parallel.DistributedDataParallel):
            inner = model.module
        if not isinstance(inner, nn.Module):
            return model
        model = inner


@torch.no_grad()
def dry_run(model: nn.Module, spec: Inputs, names: Iterable[str]) -> dict[str, Tensor]:
    """The maps that two samples of zeros give, in evaluation mode; the model's mode is kept.

    Raises:
        StageError: a layer puts out no map, or is not called.
    """
    model = unwrapped(model)
    device = next(model.parameters()).device
    training = model.training
    model.eval()
    try:
        with Taps(model, names) as taps:
            inputs.call(model, inputs.zeros(spec, 2, device))
            return taps.take()
    finally:
        model.train(training)


@torch.no_grad()
def all_maps(model: nn.Module, spec: Inputs) -> dict[str, Tensor]:
    """All layers' maps (2, C, ...) of zeros, in the order in which they are made.

    Of several layers that put out the same tensor, such as a block and its last layer, the
    outermost stands for all.
    """
    model = unwrapped(model)
    order: dict[int, tuple[str, Tensor]] = {}
    device = next(model.parameters()).device
    training = model.training

    def remember(name: str, layer: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point() and output.ndim >= 2:
            order[id(output)] = (name, output)  # the tensor is kept, so that its id is

    hooks = [
        layer.register_forward_hook(partial(remember, name))
        for name, layer in model.named_modules()
        if name
    ]
    model.eval()
    try:
        answer = inputs.call(model, inputs.zeros(spec, 2, device))
    finally:
        model.train(training)
        for hook in hooks:
            hook.remove()
    order.pop(id(answer), None)
    return {name: output for name, output in order.values() if len(output) == 2}
