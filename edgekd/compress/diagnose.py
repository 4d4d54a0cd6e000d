"""Which layers of an int8 network lose what: the quantized graph against the float one."""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import Interpreter, Node
from torchao.quantization.pt2e import FakeQuantize

from edgekd.compress.keep_float import owners
from edgekd.compress.operators import RULES
from edgekd.compress.prepared import Prepared
from edgekd.compress.weights import WEIGHTED
from edgekd.errors import StageError
from edgekd.inputs import arguments

MOVING = frozenset(target for target, rule in RULES.items() if rule.kind == "shared") - {
    torch.ops.aten.avg_pool2d.default,
    torch.ops.aten.adaptive_avg_pool2d.default,
}
"""Operators whose outputs are some of their inputs' numbers."""
DECIBELS = 10.0
"""A ratio of powers in decibels is 10 log10 of it."""


@dataclass(frozen=True)
class LayerDiagnosis:
    """One layer: an operator with what is fused into it, and its weight.

    name: the module's path where it has one, else the operator's name in the exported graph; both
        are what `keep_float` takes.
    operator: such as `conv2d`; `input` and `output` where only what enters the network, or leaves
        a float layer, is rounded.
    sqnr_db: signal-to-quantization-noise ratio of its output, when the whole network is quantized:
        10 log10(sum f^2 / sum (q - f)^2) over all values and samples, f in float and q quantized;
        None where they are the same.
    cosine: cosine similarity of f and q, flattened over all samples.
    share: of the final error. With only this layer quantized (its weight and its output), the
        network's outputs differ from the float network's by the squared error e; its share is e
        over the sum of e of all layers. 0 to 1.
    readers: layers that read its output. What is between two layers is rounded unless both stay
        float.
    movers: operators that only move numbers on the way there, which would have to stay float, too.
    """

    name: str
    operator: str
    sqnr_db: float | None
    cosine: float
    share: float
    readers: tuple[str, ...] = ()
    movers: tuple[str, ...] = ()


@dataclass(frozen=True)
class Diagnosis:
    """All layers in the graph's order, and the network's outputs."""

    layers: tuple[LayerDiagnosis, ...]
    sqnr_db: float | None
    """Of the network's outputs, everything quantized."""
    samples: int

    def worst(self) -> list[LayerDiagnosis]:
        """The layers that could stay float, by their share of the final error, largest first."""
        found = [layer for layer in self.layers if layer.operator not in (INPUT, OUTPUT)]
        return sorted(found, key=lambda layer: -layer.share)


INPUT, OUTPUT = "input", "output"
"""What the layers are called that only round what enters or leaves a network, or a float layer."""


@dataclass(frozen=True)
class Layer:
    """The fake quantizers of one layer in a prepared graph."""

    name: str
    operator: str
    outputs: tuple[Node, ...]
    """After it, and, of an operator that was unfolded into several, inside it; the last comes
    last."""
    weights: tuple[Node, ...]
    """Of its weights."""


def diagnose(prepared: Prepared, batches: Iterable[Any]) -> Diagnosis:
    """Compares a calibrated or trained network with itself in float, layer by layer.

    The float network is the same graph with its fake quantizers passing everything through, so that
    after quantization-aware training it has the trained weights.

    Args:
        prepared: what `prepare_qat` or `prepare_ptq` made; not changed.
        batches: normalised samples (N, *shape), or several inputs by name. It costs about half a
            run of the network for each layer and sample.

    Raises:
        StageError: no data was observed, there are no samples, or none of their right shape.
    """
    prepared.require_ranges()
    layers = layers_of(prepared)
    sums = {layer.name: _Sums() for layer in layers}
    final, samples = _Sums(), 0
    was_training = prepared.training
    prepared.eval()
    try:
        with torch.no_grad():
            for batch in batches:
                inputs = arguments(batch)
                _check(prepared, inputs)
                samples += len(inputs[0])
                _add(prepared, layers, inputs, sums, final)
    finally:
        prepared.train(was_training)
    if not samples:
        raise StageError("There are no samples to diagnose with.")
    total = sum(each.alone for each in sums.values())
    around = {layer.name: _readers(prepared, layer, layers) for layer in layers}
    return Diagnosis(
        tuple(
            LayerDiagnosis(
                name=layer.name,
                operator=layer.operator,
                sqnr_db=sums[layer.name].sqnr_db,
                cosine=sums[layer.name].cosine,
                share=sums[layer.name].alone / total if total > 0 else 0.0,
                readers=around[layer.name][0],
                movers=around[layer.name][1],
            )
            for layer in layers
        ),
        final.sqnr_db,
        samples,
    )


def layers_of(prepared: Prepared) -> list[Layer]:
    """The layers of a prepared graph in its order. Operators that only move numbers which are
    rounded already, to the same scale, are none; those in float have no quantizer.
    """
    found: dict[str, Layer] = {}
    scales: set[int] = set()
    for node in prepared.graph_module.graph.nodes:
        if not _is_quantizer(prepared, node) or _is_weight(node):
            continue
        scale = id(prepared.graph_module.get_submodule(str(node.target)))
        moved = all(each.target in MOVING for each in _since_last(prepared, node))
        if scale in scales and moved:
            continue
        scales.add(scale)
        layer = _layer(prepared, node, found)
        if layer is None:
            continue
        before = found.get(layer.name)
        if before is not None:  # an operator that was unfolded into several
            outputs, weights = (*before.outputs, node), (*before.weights, *layer.weights)
            layer = Layer(layer.name, before.operator, outputs, weights)
        found[layer.name] = layer
    place = {node: number for number, node in enumerate(prepared.graph_module.graph.nodes)}
    return sorted(found.values(), key=lambda layer: place[layer.outputs[-1]])


def _layer(prepared: Prepared, quantizer: Node, taken: Container[str]) -> Layer | None:
    source = quantizer.args[0]
    if isinstance(source, Node) and source.op == "placeholder":
        return Layer(str(source.target), INPUT, (quantizer,), ())
    if isinstance(source, Node) and source.op == "get_attr":  # a table of vectors, or a constant
        reader = next(iter(quantizer.users))
        return Layer(_module(reader, taken), _operator(reader), (quantizer,), ())
    chain = _since_last(prepared, quantizer)
    if not chain:
        return None
    weighted = next((node for node in chain if node.target in WEIGHTED), None)
    if weighted is None:
        return Layer(owners(chain[-1])[-1], _operator(chain[-1]), (quantizer,), ())
    weights = tuple(
        node
        for node in weighted.all_input_nodes
        if _is_quantizer(prepared, node) and _is_weight(node)
    )
    if not weights:  # it stays float, and only what leaves it is rounded
        return Layer(f"after {_module(weighted, taken)}", OUTPUT, (quantizer,), ())
    return Layer(_module(weighted, taken), _operator(weighted), (quantizer,), weights)


def _readers(
    prepared: Prepared, layer: Layer, layers: Sequence[Layer]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The layers that read a layer's output, and the operators that only move it there."""
    owner = {node: each.name for each in layers for node in (*each.outputs, *each.weights)}
    readers: dict[str, None] = {}
    movers: dict[str, None] = {}
    waiting, seen = list(layer.outputs[-1].users), set[Node]()
    while waiting:
        node = waiting.pop(0)
        if node in seen:
            continue
        seen.add(node)
        if node in owner:
            readers[owner[node]] = None
            continue
        if _is_quantizer(prepared, node):
            movers |= dict.fromkeys(owners(each)[-1] for each in _since_last(prepared, node))
        waiting += node.users
    readers.pop(layer.name, None)
    return tuple(readers), tuple(movers)


class _Sums:
    """Sums over samples, in float64."""

    def __init__(self) -> None:
        self.signal = self.noise = self.dot = self.quantized = self.alone = 0.0

    def add(self, exact: Tensor, quantized: Tensor) -> None:
        """Values of the same places in float and quantized."""
        f, q = exact.double(), quantized.double()
        self.signal += float((f * f).sum())
        self.noise += float(((q - f) ** 2).sum())
        self.dot += float((f * q).sum())
        self.quantized += float((q * q).sum())

    @property
    def sqnr_db(self) -> float | None:
        return sqnr_db(self.signal, self.noise)

    @property
    def cosine(self) -> float:
        norm = math.sqrt(self.signal) * math.sqrt(self.quantized)
        return self.dot / norm if norm > 0 else float(self.signal == self.quantized)


def sqnr_db(signal: float, noise: float) -> float | None:
    """10 log10(signal / noise) of two powers; None without noise, and at least -200."""
    if noise == 0:
        return None
    return DECIBELS * math.log10(max(signal / noise, 1e-20))


class _Partly(Interpreter):
    """Runs a prepared graph with only some of its fake quantizers; keeps what nodes give.

    Args:
        on: the quantizers that round; None for all.
    """

    def __init__(self, prepared: Prepared, on: frozenset[Node] | None) -> None:
        super().__init__(prepared.graph_module, garbage_collect_values=False)
        self.prepared = prepared
        self.on = on

    def run_node(self, n: Node) -> Any:
        passes = self.on is not None and n not in self.on and _is_quantizer(self.prepared, n)
        return self.fetch_args_kwargs_from_env(n)[0][0] if passes else super().run_node(n)


def _add(
    prepared: Prepared,
    layers: list[Layer],
    inputs: tuple[Tensor, ...],
    sums: dict[str, _Sums],
    final: _Sums,
) -> None:
    """One batch: in float, quantized, and with each layer quantized alone."""
    exact = _Partly(prepared, frozenset())
    expected = exact.run(*inputs)
    whole = _Partly(prepared, None)
    final.add(expected, whole.run(*inputs))
    for layer in layers:
        sums[layer.name].add(exact.env[layer.outputs[-1]], whole.env[layer.outputs[-1]])
        on = frozenset((*layer.outputs, *layer.weights))
        changed = _after(on)
        known = {
            node: value
            for node, value in exact.env.items()
            if node not in changed and node.op != "output"
        }
        alone = _Partly(prepared, on).run(*inputs, initial_env=known)
        sums[layer.name].alone += float(((alone.double() - expected.double()) ** 2).sum())


def _after(nodes: Iterable[Node]) -> set[Node]:
    """The nodes and everything that is computed from them."""
    found: set[Node] = set()
    waiting = list(nodes)
    while waiting:
        node = waiting.pop()
        if node not in found:
            found.add(node)
            waiting += node.users
    return found


def _is_quantizer(prepared: Prepared, node: Node) -> bool:
    if node.op != "call_module":
        return False
    return isinstance(prepared.graph_module.get_submodule(str(node.target)), FakeQuantize)


def _is_weight(node: Node) -> bool:
    """Whether a fake quantizer rounds a weight: it is what a weighted operator has second."""
    return any(
        user.target in WEIGHTED and len(user.args) > 1 and user.args[1] is node
        for user in node.users
    )


def _since_last(prepared: Prepared, quantizer: Node) -> list[Node]:
    """The operators between a fake quantizer and those before it, the nearest first."""
    found: list[Node] = []
    waiting = list(quantizer.all_input_nodes)
    while waiting:
        node = waiting.pop(0)
        if node in found or node.op != "call_function" or _is_quantizer(prepared, node):
            continue
        found.append(node)
        waiting += node.all_input_nodes
    return found


def _module(node: Node, taken: Container[str]) -> str:
    """The path of the innermost module that an operator is in, where no other is called so."""
    *paths, own = owners(node)
    return paths[-1] if paths and paths[-1] not in taken else own


def _operator(node: Node) -> str:
    """Such as `conv2d` for aten.conv2d.default."""
    return str(node.target).removeprefix("aten.").partition(".")[0]


def _check(prepared: Prepared, inputs: tuple[Tensor, ...]) -> None:
    wanted = [shape for shape, _ in prepared.like.values()]
    found = [tuple(part.shape[1:]) for part in inputs]
    if found != wanted:
        raise StageError(
            f"Samples have the shape {', '.join(map(str, found))}, and the network takes "
            f"{', '.join(map(str, wanted))}.",
            fix="give samples as the network was trained with",
        )
