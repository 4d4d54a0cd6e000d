"""The edge quantizer: annotates an exported graph after the TFLite 8-bit specification."""

from __future__ import annotations

from typing import Any

from torch.fx import GraphModule, Node
from torchao.quantization.pt2e.quantizer import (
    QuantizationAnnotation,
    QuantizationSpecBase,
    Quantizer,
    SharedQuantizationSpec,
)

from edgekd.compress.keep_float import layers_named, owners
from edgekd.compress.observers import activation_spec, fixed_spec, weight_spec
from edgekd.compress.operators import (
    BATCH_NORM,
    CLAMPS,
    NO_ARITHMETIC,
    RULES,
    SPELLINGS,
    Rule,
    operator_name,
)
from edgekd.compress.recipe import Recipe
from edgekd.compress.rewrites import is_float, rewrite

ANNOTATION = "quantization_annotation"


class EdgeQuantizer(Quantizer):
    """Annotates what `operators.RULES` names; everything else stays float.

    Args:
        recipe: its mode `qat` is for `prepare_qat_pt2e`, `ptq` for `prepare_pt2e`.
    """

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.activation = activation_spec(recipe)
        self.kept: frozenset[str] = frozenset()
        self.without_rule: dict[str, list[str]] = {}
        """Layers of each operator that no runtime has in int8 and nobody asked to stay float."""
        self.fixed: set[Node] = set()
        """Whose outputs have a scale that is not observed."""

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
            if node.op != "call_function" or not is_float(node):
                continue
            if ANNOTATION in node.meta or node in stay_float:  # as a part of another operator
                continue
            if rule is None or not rule.kernels:
                self._note_left_float(node)
            if rule is None:
                continue
            chain = _fused(node, rule)
            if any(self.kept & set(owners(part)) for part in chain):
                stay_float.update(chain)
            elif rule.kind == "shared":
                self._annotate_shared(node)
            else:
                self._annotate_computing(chain, rule)
        self._annotate_ends(model)
        return model

    @property
    def left_float(self) -> list[str]:
        """A sentence for each kind of operator that int8 kernels do not know."""
        return [
            f"The operator {name} stays float in int8 files (in {_some(layers)}); what has int8 "
            f"kernels: {SPELLINGS.get(name, 'the operators listed in docs/compression.md')}."
            for name, layers in self.without_rule.items()
        ]

    def _note_left_float(self, node: Node) -> None:
        *around, operator = owners(node)
        if node.target not in NO_ARITHMETIC and not self.kept & {*around, operator}:
            layers = self.without_rule.setdefault(operator_name(node.target), [])
            layers.append(f"layer {around[-1]}" if around else f"the operation {operator}")

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
            inputs = {source: self._of_input(source), weight: weight_spec(self.recipe, rule.axis)}
        output = fixed_spec(*rule.output) if rule.kind == "fixed" else self.activation
        for inner in chain:
            inner.meta[ANNOTATION] = QuantizationAnnotation(_annotated=True)
        node.meta[ANNOTATION].input_qspec_map = inputs
        last.meta[ANNOTATION].output_qspec = output
        if rule.kind == "fixed":
            self.fixed.add(last)

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
        return SharedQuantizationSpec(source) if source in self.fixed else self.activation

    def _annotate_shared(self, node: Node) -> None:
        sources = [source for source in node.all_input_nodes if is_float(source)]
        first = sources[0]
        shared = SharedQuantizationSpec((first, node))
        inputs: dict[Node, QuantizationSpecBase | None] = dict.fromkeys(sources, shared)
        inputs[first] = self._of_input(first) if len(sources) == 1 else self.activation
        node.meta[ANNOTATION] = QuantizationAnnotation(
            input_qspec_map=inputs, output_qspec=shared, _annotated=True
        )
        if len(sources) == 1 and first in self.fixed:
            self.fixed.add(node)


def _fused(node: Node, rule: Rule) -> list[Node]:
    """An operator with the batch norm and the clamp after it that are part of it."""
    chain = [node]
    followers: list[frozenset[Any]] = [frozenset({BATCH_NORM})] if rule.kind == "weighted" else []
    for targets in (*followers, CLAMPS) if rule.fuses else followers:
        users = list(chain[-1].users)
        if len(users) == 1 and users[0].target in targets and users[0].args[0] is chain[-1]:
            chain.append(users[0])
    return chain


def _some(layers: list[str]) -> str:
    """The first of `layers`, and how many more there are."""
    rest = len(layers) - 3
    return ", ".join(layers[:3]) + (f" and {rest} more" if rest > 0 else "")
