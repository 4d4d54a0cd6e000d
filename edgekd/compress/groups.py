"""What can be pruned of a network: groups of channels that belong together, and heads of attention.

Fang et al. 2023, "DepGraph: Towards any structural pruning": layers whose channels belong together
(residual adds, depthwise convolutions, batch norms) are pruned as one group.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import torch
import torch_pruning as tp
from torch import Tensor, nn

from edgekd import inputs
from edgekd.compress.importance import group_scores, layer_scores
from edgekd.models.attention import Heads, heads_of
from edgekd.models.layers import ChannelShuffle

TENSORS = ("_parameters", "_buffers")
"""Where a module has its own."""


class Prunable(Protocol):
    """Something of which the same kind of part can be taken away again and again."""

    @property
    def name(self) -> str:
        """Of its first layer, or of the attention."""
        ...

    @property
    def width(self) -> int:
        """Channels that it has."""
        ...

    @property
    def surplus(self) -> int:
        """How many channels go at once; all of them if none may go."""
        ...

    @property
    def layers(self) -> list[Any]:
        """All layers that are cut with it."""
        ...

    def scores(self) -> Tensor | None:
        """What the channels are worth, (width,)."""

    def least(self, scores: Tensor) -> list[int]:
        """The channels that go next."""
        ...

    def silence(self, channels: list[int]) -> None:
        """Makes what leaves these channels zero."""

    def prune(self, channels: list[int]) -> None:
        """Takes them away."""


@dataclass(frozen=True)
class Channels:
    """A group of Torch-Pruning's dependency graph."""

    name: str
    layer: Any
    """The group's first layer, whose outputs it is named by."""
    graph: Any
    round_to: int

    @property
    def width(self) -> int:
        return channels_of(self.layer)

    @property
    def surplus(self) -> int:
        return self.width - (self.width - 1) // self.round_to * self.round_to

    @property
    def layers(self) -> list[Any]:
        return self._layers

    @cached_property
    def _layers(self) -> list[Any]:
        return [dependency.target.module for dependency, _ in self.group(range(self.width))]

    def group(self, channels: Sequence[int]) -> Any:
        if isinstance(self.layer, nn.Linear):
            function = tp.prune_linear_out_channels
        elif getattr(self.layer, "groups", 1) > 1:
            function = tp.prune_depthwise_conv_out_channels
        else:
            function = tp.prune_conv_out_channels
        return self.graph.get_pruning_group(self.layer, function, idxs=list(channels))

    def scores(self) -> Tensor | None:
        return group_scores(self.group(range(self.width)), self.width)

    def least(self, scores: Tensor) -> list[int]:
        return torch.argsort(scores, stable=True)[: self.surplus].tolist()

    def silence(self, channels: list[int]) -> None:
        for dependency, indices in self.group(channels):
            if self.graph.is_out_channel_pruning_fn(dependency.handler):
                for parameter in dependency.target.module.parameters(recurse=False):
                    parameter[indices] = 0

    def prune(self, channels: list[int]) -> None:
        self.group(channels).prune()


@dataclass(frozen=True)
class AttentionHeads:
    """The heads of one attention; its channels are the numbers of all heads' values."""

    name: str
    module: nn.Module

    @property
    def heads(self) -> Heads:
        found = heads_of(self.module)
        assert found is not None
        return found

    @property
    def width(self) -> int:
        return self.heads.output.in_features

    @property
    def surplus(self) -> int:
        return self.heads.size

    @property
    def layers(self) -> list[Any]:
        return [self.module, *self.heads.inputs, self.heads.output]

    def scores(self) -> Tensor | None:
        heads = self.heads
        found = [layer_scores(heads.output, is_output=False)]
        for layer in heads.inputs:
            worth = layer_scores(layer, is_output=True)
            found += worth.chunk(heads.parts) if worth is not None else [None]
        there = [worth for worth in found if worth is not None]
        return torch.stack(there).mean(0) if there else None

    def least(self, scores: Tensor) -> list[int]:
        size = self.heads.size
        head = int(scores.reshape(-1, size).mean(1).argmin())
        return list(range(head * size, (head + 1) * size))

    def silence(self, channels: list[int]) -> None:
        value = self.heads.inputs[-1]
        rows = [len(value.weight) - self.width + channel for channel in channels]
        for parameter in value.parameters():
            parameter[rows] = 0

    def prune(self, channels: list[int]) -> None:
        heads, width = self.heads, self.width
        left = heads.number - len(channels) // heads.size
        for layer in heads.inputs:
            rows = [part * width + channel for part in range(heads.parts) for channel in channels]
            tp.prune_linear_out_channels(layer, rows)
        tp.prune_linear_in_channels(heads.output, channels)
        heads.resize(left)


def prunable(
    model: nn.Module, example: Any, round_to: int, only: Collection[str] | None = None
) -> Iterator[Prunable]:
    """All that could be pruned of a network by its structure.

    Args:
        only: names of groups and attentions; what else there is, is left out.
    """
    names = {module: name for name, module in model.named_modules()}
    for name, module in model.named_modules():
        if heads_of(module) is not None and (only is None or name in only):
            yield AttentionHeads(name, module)
    graph = dependencies(model, example)
    if only is not None:
        for name in only:
            layer = model.get_submodule(name)
            if heads_of(layer) is None:
                yield Channels(name, layer, graph, round_to)
        return
    for group in graph.get_all_groups(root_module_types=[nn.Conv1d, nn.Conv2d, nn.Linear]):
        layer = group[0].dep.target.module
        yield Channels(names[layer], layer, graph, round_to)


def dependencies(model: nn.Module, example: Any) -> Any:
    with warnings.catch_warnings():
        # It warns about each constant that it finds in the graph.
        warnings.simplefilter("ignore")
        return tp.DependencyGraph().build_dependency(
            model,
            example_inputs=inputs.arguments(example),
            customized_pruners={ChannelShuffle: _Border()},
        )


class _Border(tp.BasePruningFunc):  # type: ignore[misc]
    """Ends a group at a channel shuffle: following channels through a chain of them takes hours.

    Nothing is cut here, so the trial of a group that reaches a shuffle fails, and it is left alone.
    """

    def prune_out_channels(self, layer: nn.Module, idxs: Sequence[int]) -> nn.Module:
        return layer

    def prune_in_channels(self, layer: nn.Module, idxs: Sequence[int]) -> nn.Module:
        return layer

    def get_out_channels(self, layer: nn.Module) -> int:
        return layer.count  # type: ignore[return-value]

    def get_in_channels(self, layer: nn.Module) -> int:
        return layer.count  # type: ignore[return-value]


def may_prune(part: Prunable, model: nn.Module, example: Any) -> bool:
    """Tries it and takes it back: removing channels that are zero must change nothing.

    That refuses the classifier, whose outputs would go, and every group whose channels the
    dependency graph matches wrongly, as it does behind a padding of channels.
    """
    if part.surplus >= part.width:
        return False
    if any(isinstance(layer, nn.Parameter) for layer in part.layers):
        return False  # such as the positions of a transformer: no layer that could be cut again
    if any(1 < getattr(layer, "groups", 1) < channels_of(layer) for layer in part.layers):
        return False  # grouped, not depthwise: its groups would become uneven
    generator = torch.Generator().manual_seed(0)
    channels = part.least(torch.rand(part.width, generator=generator))
    probe = inputs.apply(lambda each: _probe(each, generator), example)
    undo = snapshot(part.layers)
    try:
        with torch.no_grad():
            part.silence(channels)
            wanted = inputs.call(model, probe)
            part.prune(channels)
            got = inputs.call(model, probe)
    except (RuntimeError, IndexError):
        return False
    finally:
        undo()
    tolerance = 1e-4 * float(wanted.abs().max())
    return got.shape == wanted.shape and bool(((got - wanted).abs() <= tolerance).all())


def snapshot(layers: Sequence[nn.Module]) -> Callable[[], None]:
    """What puts back all that is changed of the layers themselves: attributes and tensors."""
    kept = []
    for layer in {id(layer): layer for layer in layers}.values():
        attributes = {
            key: value.copy() if key in TENSORS or type(value) is list else value
            for key, value in vars(layer).items()
        }
        tensors = [t for key in TENSORS for t in vars(layer)[key].values() if t is not None]
        kept.append((layer, attributes, [(tensor, tensor.detach().clone()) for tensor in tensors]))

    @torch.no_grad()
    def undo() -> None:
        for layer, attributes, tensors in kept:
            vars(layer).clear()
            vars(layer).update(attributes)
            for tensor, values in tensors:
                tensor.copy_(values)

    return undo


def _probe(example: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers like the example; of codes, which not every number is, zeros."""
    if not example.is_floating_point():
        return torch.zeros_like(example)
    return torch.randn(example.shape, generator=generator).to(example)


def channels_of(layer: Any) -> int:
    return int(getattr(layer, "out_channels", None) or getattr(layer, "out_features", 0))
