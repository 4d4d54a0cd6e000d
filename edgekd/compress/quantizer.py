"""The edge quantizer: annotates an exported graph after the TFLite 8-bit specification."""

from __future__ import annotations

from typing import Any

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

from edgekd.compress.keep_float import layers_named, owners
from edgekd.compress.operators import BATCH_NORM, CLAMPS, RULES, Rule
from edgekd.compress.recipe import Mode, Recipe
from edgekd.compress.rewrites import is_float, rewrite

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
        recipe: its mode `qat` is for `prepare_qat_pt2e`, `ptq` for `prepare_pt2e`.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.weight = weight_spec()
        self.activation = activation_spec(recipe.mode)
        self.kept: frozenset[str] = frozenset()

    def transform_for_annotation(self, model: GraphModule) -> GraphModule:
        """See `rewrites`; a layer to keep in float that does not exist is a StageError."""
        self.kept = layers_named(model, self.recipe.keep_float)
        rewrite(model)
        return model

    def annotate(self, model: GraphModule) -> GraphModule:
        """Writes the annotation of every known operator into `node.meta`."""
        stay_float: set[Node] = set()
        for node in model.graph.nodes:
            rule = RULES.get(node.target)
            if rule is None or ANNOTATION in node.meta or not is_float(node):
                continue
            chain = _fused(node, rule)
            if node in stay_float or any(self.kept & set(owners(part)) for part in chain):
                stay_float.update(chain)
            elif rule.kind == "shared":
                self._annotate_shared(node)
            else:
                self._annotate_computing(chain, rule)
        self._annotate_ends(model)
        return model

    def validate(self, model: GraphModule) -> None:
        """Nothing to refuse: what is not annotated stays float, in both runtimes."""

    def _annotate_computing(self, chain: list[Node], rule: Rule) -> None:
        node, last = chain[0], chain[-1]
        inputs: dict[Node, QuantizationSpecBase | None] = {
            source: self._of_input(source) for source in node.all_input_nodes if is_float(source)
        }
        if rule.kind == "weighted":
            # torchao's conv and batch-norm rewriting reads this map by position: input, weight.
            source, weight = node.args[:2]
            assert isinstance(source, Node) and isinstance(weight, Node)
            inputs = {source: self._of_input(source), weight: self.weight}
        output = UNIT_INTERVAL if rule.kind == "fixed" else self.activation
        for inner in chain:
            inner.meta[ANNOTATION] = QuantizationAnnotation(_annotated=True)
        node.meta[ANNOTATION].input_qspec_map = inputs
        last.meta[ANNOTATION].output_qspec = output

    def _annotate_ends(self, model: GraphModule) -> None:
        """Makes input and output int8 where the operator there stays float."""
        for node in model.graph.nodes:
            first = node.op == "placeholder" and any(ANNOTATION not in u.meta for u in node.users)
            last = any(user.op == "output" for user in node.users)
            if (first or last) and ANNOTATION not in node.meta and is_float(node):
                node.meta[ANNOTATION] = QuantizationAnnotation(
                    output_qspec=self.activation, _annotated=True
                )

    def _of_input(self, source: Node) -> QuantizationSpecBase:
        """The scale of an input: its producer's if that is fixed, else one that is observed.

        torchao itself joins an observed input with its producer's observed output, not with a
        fixed one.
        """
        produced = source.meta.get(ANNOTATION)
        fixed = produced is not None and produced.output_qspec is UNIT_INTERVAL
        return SharedQuantizationSpec(source) if fixed else self.activation

    def _annotate_shared(self, node: Node) -> None:
        sources = [source for source in node.all_input_nodes if is_float(source)]
        first = sources[0]
        shared = SharedQuantizationSpec((first, node))
        inputs: dict[Node, QuantizationSpecBase | None] = dict.fromkeys(sources, shared)
        inputs[first] = self._of_input(first) if len(sources) == 1 else self.activation
        node.meta[ANNOTATION] = QuantizationAnnotation(
            input_qspec_map=inputs, output_qspec=shared, _annotated=True
        )


def _fused(node: Node, rule: Rule) -> list[Node]:
    """An operator with the batch norm and the clamp after it that are part of it."""
    chain = [node]
    followers: list[frozenset[Any]] = [frozenset({BATCH_NORM})] if rule.kind == "weighted" else []
    for targets in (*followers, CLAMPS) if rule.fuses else followers:
        users = list(chain[-1].users)
        if len(users) == 1 and users[0].target in targets and users[0].args[0] is chain[-1]:
            chain.append(users[0])
    return chain
