"""Which operators of an exported graph belong to layers that stay float."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Any

from torch import nn
from torch.fx import GraphModule, Node

from edgekd.compress.unfold import UNFOLDED_FROM
from edgekd.errors import StageError


def owners(node: Node) -> list[str]:
    """Names that stand for an operator: its own, and those of the modules that it is in.

    A module's name is its path, such as `blocks.0.conv`; the outermost one comes first.
    """
    stack = node.meta.get("nn_module_stack") or {}
    paths = [path for path, _ in stack.values() if path]
    return [*paths, str(node.meta.get(UNFOLDED_FROM, node.name))]


def check(model: nn.Module, example: Any, names: Sequence[str]) -> None:
    """Looks for layers in the graph of `model`, before anything is trained.

    Raises:
        StageError: see `layers_named`; or torch.export cannot capture the network.
    """
    from edgekd.compress.capture import exported

    layers_named(exported(model, example, training=False), names)


def layers_named(graph_module: GraphModule, names: Sequence[str]) -> frozenset[str]:
    """The modules and nodes that `names` mean, with `*` for anything.

    Raises:
        StageError: a name stands for no operator of the graph; the nearest ones are told.
    """
    known = dict.fromkeys(
        owner
        for node in graph_module.graph.nodes
        if node.op == "call_function"
        for owner in owners(node)
    )
    found: set[str] = set()
    for name in names:
        matching = {owner for owner in known if fnmatchcase(owner, name)}
        if not matching:
            near = difflib.get_close_matches(name, known, n=3, cutoff=0.3) or list(known)[:3]
            raise StageError(
                f"There is no layer named {name} to keep in float.",
                where="keep_float",
                fix=f"the nearest are {', '.join(near)}",
            )
        found |= matching
    return frozenset(found)
