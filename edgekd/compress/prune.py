"""Structured pruning: whole channels go, least important first, until a budget is kept.

The groups of layers and what can go of them are in `groups.py`, what a channel is worth in
`importance.py`, and how a size or a time that only a file can tell is reached in `measured.py`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import nn

from edgekd import inputs
from edgekd.compress.groups import Prunable, may_prune, prunable, snapshot
from edgekd.compress.importance import (
    NEED_SAMPLES,
    Labelled,
    attach,
    detach,
    weights_worth,
)
from edgekd.compress.measured import Cut, down_to
from edgekd.config.pruning import PruneSettings, Target
from edgekd.errors import StageError
from edgekd.models.count import macs_of, parameters
from edgekd.models.layer_names import find_layers

COUNTED: dict[str, Target] = {
    "macs": "macs",
    "parameters": "parameters",
    "bytes": "parameters",
    "latency": "macs",
}
"""What is counted on the way to each target."""


CLOSE = 0.03
"""Share of the whole cost that the result may lie below the limit, where another choice of groups
comes closer."""


def prune(
    model: nn.Module,
    example: Any,
    settings: PruneSettings,
    *,
    samples: Labelled | None = None,
    measure: Callable[[nn.Module], float] | None = None,
    before: float | None = None,
    limit: float | None = None,
) -> nn.Module:
    """A pruned copy of `model`: the same modules with smaller tensors, in evaluation mode.

    Of all groups, the one whose `round_to` least important channels matter least loses them; with
    `scope: layer`, the one that has lost the least share of its channels. This repeats until the
    cost is at most the limit. Groups whose channels would take the cost far below it are passed
    over as long as there are others.

    A group is left alone where its pruning would change the network's output (the classifier) or
    break its forward pass (such as the zero-padded shortcuts of CIFAR ResNets). Every layer keeps
    at least `round_to` channels, and every attention a head; heads go whole.

    Args:
        model: float network, (N, *shape) to (N, C); not changed.
        example: inputs (1 or more, *shape), on the network's device, or several by name; only
            shapes and types matter.
        settings: all but how it is trained.
        samples: for `importance` taylor and hessian.
        measure: bytes or microseconds of a network's file, for these targets.
        before: what `measure` says of the whole network, where that is known.
        limit: what may remain, in the target's unit, in place of the settings' `keep` and `limit`.

    Raises:
        StageError: the target cannot be reached; there is no such layer; nothing tells how
            important a channel is.
    """
    model = copy.deepcopy(model).eval()
    detach(model)
    for parameter in model.parameters():
        parameter.requires_grad_(True)
    pruner = _Pruner(model, example, settings, samples)
    if settings.measured:
        if measure is None:
            raise _missing("target", settings.target, "measure, which tells it of a network")
        before = measure(model) if before is None else before
        limit = settings.limits(before)[-1] if limit is None else limit
        return down_to(limit, before, pruner.count(model), pruner.cut, measure, settings.target)
    whole = pruner.count(model)
    limit = settings.limits(whole)[-1] if limit is None else limit
    cut = pruner.cut(limit)
    if cut.count > limit:
        raise _unreachable(settings, limit, cut.count, whole, len(pruner.names))
    return cut.model


class _Pruner:
    """Cuts copies of one network down to what is asked."""

    def __init__(
        self, model: nn.Module, example: Any, settings: PruneSettings, samples: Labelled | None
    ) -> None:
        if settings.importance in NEED_SAMPLES and samples is None:
            raise _missing("importance", settings.importance, "samples with labels")
        self.model, self.example, self.settings = model, example, settings
        self.count = counter(COUNTED[settings.target], example)
        self.worth = weights_worth(model, settings.importance, samples)
        self.names = self._allowed()

    def _allowed(self) -> list[str]:
        """The groups that may be pruned, by name."""
        settings, names = self.settings, {m: n for n, m in self.model.named_modules()}
        ignored = [
            name
            for pattern in settings.ignored_layers
            for name in find_layers(self.model, pattern, "student", "prune.ignored_layers")
        ]

        def touched(part: Prunable) -> bool:
            cut = [names.get(layer, "") for layer in part.layers]
            return any(f"{name}.".startswith(f"{each}.") for name in cut for each in ignored)

        return [
            part.name
            for part in prunable(self.model, self.example, settings.round_to)
            if not touched(part) and may_prune(part, self.model, self.example)
        ]

    def cut(self, limit: float) -> Cut:
        """A copy whose count is at most `limit`, or as small as it gets."""
        settings = self.settings
        model = copy.deepcopy(self.model)
        attach(model, self.worth)
        parts = list(prunable(model, self.example, settings.round_to, only=self.names))
        first = {part.name: part.width for part in parts}
        least = {part.name: _least(part) for part in parts}
        if not any(least.values()) and parts:
            raise _no_scores(settings)
        count, floor = self.count(model), limit - CLOSE * self.count(self.model)
        far: dict[str, int] = {}  # what they would leave, of groups whose next part is too large
        while count > limit:
            blocks = [each for name, each in least.items() if each is not None and name not in far]
            block = self._next(blocks, first)
            if block is None and far:  # the one that comes closest, and that is the end
                name = max(far, key=lambda each: far[each])
                block, floor = least[name], 0.0
            if block is None:
                break
            undo = snapshot(block.part.layers)
            block.part.prune(block.channels)
            left = self.count(model)
            if left < floor:
                undo()
                far[block.part.name] = left
                continue
            count = left
            cut = {id(layer) for layer in block.part.layers}
            for part in parts:  # only neighbours of what was cut have changed
                if cut & {id(layer) for layer in part.layers}:
                    least[part.name] = _least(part)
        detach(model)
        return Cut(model, count)

    def _next(self, blocks: list[_Block], first: dict[str, int]) -> _Block | None:
        """Of the parts that may go, the one that matters least; by layers, of the widest."""
        if self.settings.scope == "layer":
            left = {block.part.name: block.part.width / first[block.part.name] for block in blocks}
            return max(blocks, key=lambda block: left[block.part.name], default=None)
        return min(blocks, key=lambda block: block.importance, default=None)


@dataclass(frozen=True)
class _Block:
    """What goes next of a group."""

    part: Prunable
    channels: list[int]
    importance: float


def _least(part: Prunable) -> _Block | None:
    if part.surplus >= part.width:
        return None
    scores = part.scores()
    if scores is None:
        return None
    channels = part.least(scores)
    importance = scores[channels].mean() / scores.mean().clamp(min=1e-30)
    return _Block(part, channels, float(importance))


def counter(target: Target, example: Any) -> Callable[[nn.Module], int]:
    """What counts a network's MACs, for one sample like the example, or its parameters."""
    if target == "parameters":
        return parameters
    single = inputs.take(example, slice(1))
    return lambda model: macs_of(model, single)


def _missing(field: str, value: str, what: str) -> StageError:
    return StageError(f"prune.{field} {value} needs {what}.", where=f"prune.{field}")


def _no_scores(settings: PruneSettings) -> StageError:
    return StageError(
        f"Nothing in the layers that can be pruned has what importance {settings.importance} asks.",
        where="prune.importance: bn_scale needs batch normalisation behind the layers"
        if settings.importance == "bn_scale"
        else "prune.importance: no gradient reaches these layers",
        fix="take importance: magnitude",
    )


def _unreachable(
    settings: PruneSettings, limit: float, reached: float, before: int, groups: int
) -> StageError:
    return StageError(
        f"Pruning cannot bring the {settings.target} down to {limit / before:.0%} of the network.",
        where=(
            f"{groups} groups of layers can be pruned, and {reached / before:.0%} is left when "
            f"each has the {settings.round_to} channels that prune.round_to keeps at least"
        ),
        fix="lower prune.round_to, raise prune.keep, or start from a wider network",
    )
