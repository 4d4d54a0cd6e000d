"""Attention layers whose heads can be told apart: the zoo's, timm's and others of their form."""

from __future__ import annotations

from dataclasses import dataclass

from torch import nn

COUNTS = ("heads", "num_heads")
"""What a layer may call the number of its heads."""
APART = (("query", "key", "value"), ("q_proj", "k_proj", "v_proj"))
FUSED = "qkv"
"""One linear layer that gives queries, keys and values one after the other."""
OUTPUTS = ("output", "proj", "out_proj")


@dataclass(frozen=True)
class Heads:
    """The parts of a multi-head self-attention."""

    module: nn.Module
    count: str
    """Its attribute with the number of heads."""
    inputs: tuple[nn.Linear, ...]
    """Queries, keys and values; or one layer with all three."""
    output: nn.Linear

    @property
    def number(self) -> int:
        """How many heads there are."""
        return int(getattr(self.module, self.count))

    @property
    def parts(self) -> int:
        """How many of queries, keys and values one input layer gives."""
        return 3 // len(self.inputs)

    @property
    def size(self) -> int:
        """Numbers of a head's query, key and value each."""
        return self.output.in_features // self.number

    def resize(self, number: int) -> None:
        """Tells the attention that it has so many heads, as its tensors have already."""
        setattr(self.module, self.count, number)
        if hasattr(self.module, "attn_dim"):  # timm's width inside the attention
            setattr(self.module, "attn_dim", self.output.in_features)  # noqa: B010


def heads_of(module: nn.Module) -> Heads | None:
    """The heads of a module; None if it is no such attention."""
    count = next((name for name in COUNTS if isinstance(getattr(module, name, None), int)), None)
    output = _linear(module, *OUTPUTS)
    fused = _linear(module, FUSED)
    apart = [[_linear(module, name) for name in names] for names in APART]
    found = [fused] if fused is not None else next((each for each in apart if all(each)), [])
    inputs = tuple(layer for layer in found if layer is not None)
    if count is None or output is None or not inputs:
        return None
    heads = Heads(module, count, inputs, output)
    whole = heads.number > 0 and output.in_features % heads.number == 0
    alike = all(layer.out_features == heads.parts * output.in_features for layer in inputs)
    return heads if whole and alike else None


def _linear(module: nn.Module, *names: str) -> nn.Linear | None:
    found = (getattr(module, name, None) for name in names)
    return next((layer for layer in found if isinstance(layer, nn.Linear)), None)
