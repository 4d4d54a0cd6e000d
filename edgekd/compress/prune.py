"""Structured pruning: whole channels go, least important first, until a budget is kept.

Fang et al. 2023, "DepGraph: Towards any structural pruning": layers whose channels belong together
(residual adds, depthwise convolutions, batch norms) are pruned as one group, and a channel's
importance is the L2 norm of everything in the group that belongs to it, divided by the group's
mean so that groups can be compared.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from edgekd import inputs
from edgekd.config.stages import PruneSettings
from edgekd.errors import StageError
from edgekd.models.count import macs_of, parameters
from edgekd.models.layers import ChannelShuffle


def prune(model: nn.Module, example: Any, settings: PruneSettings) -> nn.Module:
    """A pruned copy of `model`: the same modules with smaller tensors, in evaluation mode.

    Of all groups, the one whose `round_to` least important channels matter least loses them; this
    repeats until the cost is at most `keep` times what it was. A group is left alone where its
    pruning would change the network's output (the classifier) or break its forward pass (such as
    the zero-padded shortcuts of CIFAR ResNets). Every layer keeps at least `round_to` channels.

    Args:
        model: float network, (N, *shape) to (N, C); not changed.
        example: inputs (1 or more, *shape), on the network's device, or several by name; only
            shapes and types matter.
        settings: `target`, `keep` and `round_to`.

    Raises:
        StageError: the target cannot be reached.
    """
    model = copy.deepcopy(model).eval()
    measure = _counter(settings.target, example)
    before = measure(model)
    graph = _dependencies(model, example)
    roots = [root for root in _roots(graph, model) if _may_prune(model, example, root, settings)]
    importance = tp.importance.GroupMagnitudeImportance(p=2)
    while measure(model) > settings.keep * before:
        blocks = list(_least_important(graph, model, roots, importance, settings.round_to))
        if not blocks:
            raise _unreachable(measure(model) / before, len(roots), settings)
        min(blocks, key=lambda block: block.importance).group.prune()
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    return model


@dataclass(frozen=True)
class _Block:
    """The least important channels of one group."""

    importance: float
    group: Any


def _counter(target: str, example: Any) -> Callable[[nn.Module], int]:
    if target == "parameters":
        return parameters
    single = inputs.take(example, slice(1))
    return lambda model: macs_of(model, single)


def _dependencies(model: nn.Module, example: Any) -> Any:
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


def _roots(graph: Any, model: nn.Module) -> Iterator[str]:
    """The name of the first layer of every group."""
    names = {module: name for name, module in model.named_modules()}
    for group in graph.get_all_groups(root_module_types=[nn.Conv1d, nn.Conv2d, nn.Linear]):
        yield names[group[0].dep.target.module]


def _group(graph: Any, model: nn.Module, root: str, channels: list[int]) -> Any:
    layer = model.get_submodule(root)
    if isinstance(layer, nn.Linear):
        function = tp.prune_linear_out_channels
    elif getattr(layer, "groups", 1) > 1:
        function = tp.prune_depthwise_conv_out_channels
    else:
        function = tp.prune_conv_out_channels
    return graph.get_pruning_group(layer, function, idxs=channels)


def _may_prune(model: nn.Module, example: Any, root: str, settings: PruneSettings) -> bool:
    """Tries the group of `root` on a copy: removing channels that are zero must change nothing.

    That refuses the classifier, whose outputs would go, and every group whose channels the
    dependency graph matches wrongly, as it does behind a padding of channels.
    """
    trial = copy.deepcopy(model)
    width = _channels(trial.get_submodule(root))
    removed = _surplus(width, settings.round_to)
    if removed >= width:
        return False
    generator = torch.Generator().manual_seed(0)
    channels = torch.randperm(width, generator=generator)[:removed].tolist()
    graph = _dependencies(trial, example)
    group = _group(graph, trial, root, channels)
    layers = [dependency.target.module for dependency, _ in group]
    if any(isinstance(layer, nn.Parameter) for layer in layers):
        return False  # such as the positions of a transformer: no layer that could be cut again
    if any(1 < getattr(layer, "groups", 1) < _channels(layer) for layer in layers):
        return False  # grouped, not depthwise: its groups would become uneven
    probe = inputs.apply(lambda part: _probe(part, generator), example)
    try:
        with torch.no_grad():
            for dependency, indices in group:
                if graph.is_out_channel_pruning_fn(dependency.handler):
                    for parameter in dependency.target.module.parameters(recurse=False):
                        parameter[indices] = 0
            wanted = inputs.call(trial, probe)
            group.prune()
            got = inputs.call(trial, probe)
    except (RuntimeError, IndexError):
        return False
    tolerance = 1e-4 * float(wanted.abs().max())
    return got.shape == wanted.shape and bool(((got - wanted).abs() <= tolerance).all())


def _probe(example: Tensor, generator: torch.Generator) -> Tensor:
    """Random numbers like the example; of codes, which not every number is, zeros."""
    if not example.is_floating_point():
        return torch.zeros_like(example)
    return torch.randn(example.shape, generator=generator).to(example)


def _surplus(width: int, round_to: int) -> int:
    """How many channels go at once: down to the next lower multiple of `round_to`."""
    return width - (width - 1) // round_to * round_to


def _channels(layer: Any) -> int:
    return int(getattr(layer, "out_channels", None) or getattr(layer, "out_features", 0))


def _least_important(
    graph: Any, model: nn.Module, roots: list[str], importance: Any, round_to: int
) -> Iterator[_Block]:
    for root in roots:
        width = _channels(model.get_submodule(root))
        removed = _surplus(width, round_to)
        if removed >= width:
            continue
        scores = importance(_group(graph, model, root, list(range(width))))
        if scores is None:
            continue
        order = torch.argsort(scores, stable=True)[:removed]
        group = _group(graph, model, root, order.tolist())
        yield _Block(float(scores[order].mean()), group)


def _unreachable(reached: float, groups: int, settings: PruneSettings) -> StageError:
    return StageError(
        f"Pruning cannot bring the {settings.target} down to {settings.keep:.0%} of the network.",
        where=(
            f"{groups} groups of layers can be pruned, and {reached:.0%} is left when each has "
            f"the {settings.round_to} channels that prune.round_to keeps at least"
        ),
        fix="lower prune.round_to, raise prune.keep, or start from a wider network",
    )
