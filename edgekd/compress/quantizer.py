"""The edge quantizer: annotates an exported graph after the TFLite 8-bit specification."""

from __future__ import annotations

import sys
from typing import Any, Literal

import torch
from torch.fx import GraphModule, Node
from torchao.quantization.pt2e import (
    FakeQuantize,
    HistogramObserver,
    MovingAverageMinMaxObserver,
    PerChannelMinMaxObserver,
)
from torchao.quantization.pt2e.quantizer import (
    FixedQParamsQuantizationSpec,
    QuantizationAnnotation,
    QuantizationSpec,
    QuantizationSpecBase,
    Quantizer,
    SharedQuantizationSpec,
)

from edgekd.compress import operators
from edgekd.compress.operators import BATCH_NORM, CLAMPS, RULES, Rule

Mode = Literal["qat", "ptq"]
ANNOTATION = "quantization_annotation"


class CurrentRangePerChannelObserver(PerChannelMinMaxObserver):
    """Range of the tensor as it is now, per output channel, without memory.

    A weight is known exactly at every step, so an average over steps would only lag behind it.
    """

    def forward(self, x_orig: torch.Tensor) -> torch.Tensor:
        """Forgets the old range, then observes `x_orig` (O, ...)."""
        self.reset_min_max_vals()
        return super().forward(x_orig)


def weight_spec() -> QuantizationSpec:
    """Int8, symmetric, per output channel, -127 to 127, zero point 0."""
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-127,
        quant_max=127,
        qscheme=torch.per_channel_symmetric,
        ch_axis=0,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(
            observer=CurrentRangePerChannelObserver, eps=2**-16
        ),
    )


def activation_spec(mode: Mode) -> QuantizationSpec:
    """Int8, asymmetric, per tensor, -128 to 127.

    QAT follows the range with a moving average; PTQ keeps a histogram and chooses the range of
    least squared error.
    """
    observer: Any = {
        "qat": MovingAverageMinMaxObserver.with_args(averaging_constant=0.01, eps=2**-12),
        "ptq": HistogramObserver.with_args(eps=2**-12),
    }[mode]
    return QuantizationSpec(
        dtype=torch.int8,
        quant_min=-128,
        quant_max=127,
        qscheme=torch.per_tensor_affine,
        observer_or_fake_quant_ctr=FakeQuantize.with_args(observer=observer),
    )


UNIT_INTERVAL = FixedQParamsQuantizationSpec(
    dtype=torch.int8,
    scale=1 / 256,
    zero_point=-128,
    quant_min=-128,
    quant_max=127,
    qscheme=torch.per_tensor_affine,
)


class EdgeQuantizer(Quantizer):
    """Annotates what `operators.RULES` names; everything else stays float.

    Args:
        mode: `qat` for `prepare_qat_pt2e`, `ptq` for `prepare_pt2e`.
    """

    def __init__(self, mode: Mode) -> None:
        super().__init__()
        self.weight = weight_spec()
        self.activation = activation_spec(mode)

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """Makes the graph functional, without dropout, its scalar operands tensors."""
        for node in list(model.graph.nodes):
            if node.op != "call_function":
                continue
            if node.target is torch.ops.aten.add_.Tensor and not node.users:
                # A batch norm counting its batches: only needed for momentum None.
                model.graph.erase_node(node)
            elif node.target in operators.DROPOUTS or _keeps_all(node):
                # Its scaling in training would tear the shared ranges apart.
                node.replace_all_uses_with(node.args[0])
                model.graph.erase_node(node)
            elif node.target in operators.FUNCTIONAL:
                node.target = operators.FUNCTIONAL[node.target]
        _unfold_hard_functions(model)
        _scalars_to_tensors(model)
        model.graph.lint()
        model.recompile()
        return model

    def annotate(self, model: GraphModule) -> GraphModule:
        """Writes the annotation of every known operator into `node.meta`."""
        for node in model.graph.nodes:
            rule = RULES.get(node.target)
            if rule is None or ANNOTATION in node.meta or not _is_float(node):
                continue
            if rule.kind == "shared":
                self._annotate_shared(node)
            else:
                self._annotate_computing(node, rule)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to refuse: what is not annotated stays float, in both runtimes."""

    def _annotate_computing(self, node: Node, rule: Rule) -> None:
        inputs: dict[Node, QuantizationSpecBase | None] = {
            source: self._of_input(source) for source in node.all_input_nodes if _is_float(source)
        }
        last = node
        if rule.kind == "weighted":
            # torchao's conv and batch-norm rewriting reads this map by position: input, weight.
            source, weight = node.args[:2]
            assert isinstance(source, Node) and isinstance(weight, Node)
            inputs = {source: self._of_input(source), weight: self.weight}
            last = _follow(last, {BATCH_NORM})
        if rule.fuses:
            last = _follow(last, CLAMPS)
        output = UNIT_INTERVAL if rule.kind == "fixed" else self.activation
        for inner in _between(node, last):
            inner.meta[ANNOTATION] = QuantizationAnnotation(_annotated=True)
        node.meta[ANNOTATION].input_qspec_map = inputs
        last.meta[ANNOTATION].output_qspec = output

    def _of_input(self, source: Node) -> QuantizationSpecBase:
        """The scale of an input: its producer's if that is fixed, else one that is observed.

        torchao itself joins an observed input with its producer's observed output, not with a
        fixed one.
        """
        produced = source.meta.get(ANNOTATION)
        fixed = produced is not None and produced.output_qspec is UNIT_INTERVAL
        return SharedQuantizationSpec(source) if fixed else self.activation

    def _annotate_shared(self, node: Node) -> None:
        sources = [source for source in node.all_input_nodes if _is_float(source)]
        first = sources[0]
        shared = SharedQuantizationSpec((first, node))
        inputs: dict[Node, QuantizationSpecBase | None] = dict.fromkeys(sources, shared)
        inputs[first] = self._of_input(first) if len(sources) == 1 else self.activation
        node.meta[ANNOTATION] = QuantizationAnnotation(
            input_qspec_map=inputs, output_qspec=shared, _annotated=True
        )


def _is_float(node: Node) -> bool:
    value = node.meta.get("val")
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _keeps_all(node: Node) -> bool:
    """Whether `node` is one of the whole-axis slices that export makes of `x[:, :, ::2]`."""
    if node.target is not torch.ops.aten.slice.Tensor or len(node.args) < 4:
        return False
    start, end, step = node.args[2], node.args[3], node.args[4:]
    return (start, end) == (0, sys.maxsize) and step in ((), (1,))


def _follow(node: Node, targets: frozenset[Any] | set[Any]) -> Node:
    """The only user of `node` if it is one of `targets`, else `node` itself."""
    users = list(node.users)
    if len(users) == 1 and users[0].target in targets and users[0].args[0] is node:
        return users[0]
    return node


def _between(first: Node, last: Node) -> list[Node]:
    """The chain of only users from `first` to `last`, both included."""
    chain = [first]
    while chain[-1] is not last:
        chain.append(next(iter(chain[-1].users)))
    return chain


def _unfold_hard_functions(model: GraphModule) -> None:
    """Writes hard-sigmoid as relu6(x + 3) / 6, and hard-swish as x times that.

    ONNX Runtime has neither in int8; LiteRT has hard-swish, but not in XNNPACK, and its own kernel
    is a step off at one value in a hundred, which a deep network multiplies.
    """
    aten = torch.ops.aten
    for node in list(model.graph.nodes):
        if node.target not in (aten.hardsigmoid.default, aten.hardswish.default):
            continue
        x = node.args[0]
        with model.graph.inserting_before(node):
            moved = model.graph.call_function(aten.add.Tensor, (x, 3.0))
            clamped = model.graph.call_function(aten.hardtanh.default, (moved, 0.0, 6.0))
            last = model.graph.call_function(aten.mul.Tensor, (clamped, 1 / 6))
            new = [moved, clamped, last]
            if node.target is aten.hardswish.default:
                last = model.graph.call_function(aten.mul.Tensor, (x, last))
                new.append(last)
        for part in new:
            part.meta = dict(node.meta)
        node.replace_all_uses_with(last)
        model.graph.erase_node(node)


def _scalars_to_tensors(model: GraphModule) -> None:
    """Makes `x + 3` an addition of two tensors: only tensors can be int8."""
    aten = torch.ops.aten
    for node in list(model.graph.nodes):
        if node.target not in (aten.add.Tensor, aten.sub.Tensor, aten.mul.Tensor):
            continue
        if not _is_float(node) or not isinstance(node.args[1], int | float):
            continue
        name = f"_scalar_of_{node.name}"
        constant = torch.tensor(float(node.args[1]), device=node.meta["val"].device)
        model.register_buffer(name, constant)
        with model.graph.inserting_before(node):
            operand = model.graph.get_attr(name)
        operand.meta["val"] = node.meta["val"].fake_mode.from_tensor(constant, static_shapes=True)
        node.args = (node.args[0], operand, *node.args[2:])
