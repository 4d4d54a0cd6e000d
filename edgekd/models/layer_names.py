"""Layers by name, as people write them in a pipeline file."""

from __future__ import annotations

import difflib
from fnmatch import fnmatchcase

from torch import nn

from edgekd.errors import StageError

WRAPPERS = ("module", "_orig_mod", "network")
"""Children that hold a whole network: of DistributedDataParallel, of `torch.compile`, and one of
another library in edgekd's own. Layers are named without these."""


def find_layers(
    model: nn.Module, pattern: str, role: str, where: str = "method.layers"
) -> list[str]:
    """Names of the layers that `pattern` means, in the network's order.

    Args:
        pattern: a name as in `named_modules()`; `*`, `?` and `[...]` stand for parts of it between
            two dots.
        role: "student" or "teacher", for the error.
        where: the field that names the layer, for the error.

    Raises:
        StageError: there is no such layer; lists the nearest.
    """
    names = [name for name, _ in model.named_modules() if name]
    for prefix in ("", *_prefixes(model)):
        for asked in (pattern, _bare(pattern)):
            found = [name for name in names if _matches(name, prefix + asked)]
            if found:
                return found
    shown = list(filter(None, map(_bare, names)))
    near = difflib.get_close_matches(pattern, shown, n=3, cutoff=0.5)
    some = ", ".join(near or shown[:8])
    raise StageError(
        f"The {role} has no layer {pattern}.",
        where=where,
        fix=f"did you mean {some}?" if near else f"its layers are {some}, ...",
    )


def layer_of(model: nn.Module, name: str) -> nn.Module:
    """The layer of a name that the network, or what wraps it, may have with other wrappers' names
    before it.

    Raises:
        StageError: there is no such layer.
    """
    layers = dict(model.named_modules())
    for prefix in ("", *_prefixes(model)):
        for asked in (name, _bare(name)):
            if prefix + asked in layers:
                return layers[prefix + asked]
    raise StageError(f"The network has no layer {name}.", where=name)


def _prefixes(model: nn.Module) -> list[str]:
    """Where the network lies inside its wrappers, from the outside: "module.", ..."""
    found: list[str] = []
    while True:
        children = dict(model.named_children())
        inner = next((name for name in WRAPPERS if name in children), None)
        if inner is None:
            return found
        model = children[inner]
        found.append(f"{found[-1] if found else ''}{inner}.")


def _bare(name: str) -> str:
    """A layer's name without those of wrappers."""
    parts = name.split(".")
    while parts and parts[0] in WRAPPERS:
        parts.pop(0)
    return ".".join(parts)


def _matches(name: str, pattern: str) -> bool:
    parts, wanted = name.split("."), pattern.split(".")
    return len(parts) == len(wanted) and all(map(fnmatchcase, parts, wanted))
