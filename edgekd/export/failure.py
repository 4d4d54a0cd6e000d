"""Turns a converter's exception into an error that names the operator."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from edgekd.errors import StageError

if TYPE_CHECKING:
    from torch import nn

OPERATOR = re.compile(
    r"\b(?:aten|prims|torchvision|torchao)(?:\.|::)_?[a-z]\w*(?:\.\w+)?"  # as torch names it
    r"|(?<=')(?:stablehlo|chlo|tfl|tf)\.\w+(?=' op)"  # as LiteRT's compiler does
)

COMPILER = ("stablehlo.", "chlo.", "tfl.", "tf.")


def conversion_error(
    error: BaseException, target: str, network: nn.Module | None = None, inputs: Any = ()
) -> StageError:
    """A StageError for a failed conversion to `target` (such as "ONNX"), naming its operator and,
    where the network that was converted and its inputs are given, the layer that it is in.
    """
    text = "\n".join(_messages(error))
    found = OPERATOR.search(text)
    wanted = found[0] if found else ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and wanted in line]
    first_line = lines[0] if lines else type(error).__name__
    if found:
        layer = layer_of(wanted, network, inputs) if network is not None else ""
        return StageError(
            f"The network uses an operator that {target} cannot express: {wanted}{layer}.",
            where=first_line,
            fix="replace it in the network, or leave this format out of export.formats",
        )
    return StageError(
        f"The network cannot be converted to {target}.",
        where=first_line,
        fix="see the error that this one was raised from (edgekd --debug shows it)",
    )


def layer_of(operator: str, network: nn.Module, inputs: Any) -> str:
    """`, in layer NAME` of the first operator of this name in a network's graph; empty where none
    is found, or where the name is one of LiteRT's compiler and fits operators of several layers.
    """
    import torch

    name, torchs = _plain(operator), not operator.startswith(COMPILER)
    try:
        program = torch.export.export(network, inputs)
        # A converter names an operator as it is written, or one that torch makes of it.
        graphs = [program.graph, program.run_decompositions().graph]
    except Exception:  # what torch raises is not what the user is to be told
        return ""
    layers: dict[str, None] = {}
    for node in (node for graph in graphs for node in graph.nodes):
        given = _plain(str(node.target))
        if given == name or (not torchs and given.startswith(f"{name}_")):
            paths = [path for path, _ in node.meta.get("nn_module_stack", {}).values() if path]
            layers.update(dict.fromkeys(paths[-1:]))
    return f", in layer {next(iter(layers))}" if len(layers) == 1 or (layers and torchs) else ""


def _plain(operator: str) -> str:
    """`linalg_svd` for `aten._linalg_svd.default` and `aten::linalg_svd`."""
    return operator.replace("::", ".").partition(".")[2].partition(".")[0].strip("_")


def _messages(error: BaseException | None) -> list[str]:
    """The texts of an exception and its causes, the innermost first."""
    messages: list[str] = []
    while error is not None:
        messages.insert(0, str(error))
        error = error.__cause__ or error.__context__
    return messages
