"""A network with fake quantizers in it: what QAT trains and what PTQ calibrates."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule
from torchao.quantization.pt2e import FakeQuantize

from edgekd.compress.fold import batch_norms
from edgekd.compress.keep_float import owners
from edgekd.compress.observers import ActivationQuantizer
from edgekd.compress.operators import CLAMPS
from edgekd.compress.recipe import Mode, Recipe
from edgekd.errors import StageError
from edgekd.inputs import named

Like = dict[str, tuple[tuple[int, ...], torch.dtype]]
"""Shape (without the batch) and type of each input; a single one has the name ""."""


def zeros_like(like: Like, device: torch.device) -> dict[str, Tensor]:
    """Two samples of zeros."""
    return {
        name: torch.zeros(2, *shape, dtype=dtype, device=device)
        for name, (shape, dtype) in like.items()
    }


class Prepared(nn.Module):
    """An exported graph with fake quantizers, usable like any network: (N, *shape) to (N, C),
    or several inputs by position.

    Parameters keep the float network's names behind the prefix `graph_module.`. `train()` and
    `eval()` switch batch normalisation and the observers of activations: nothing that is only
    evaluated moves a range. Ranges of weights always follow the weights.

    Args:
        graph_module: what torchao prepared.
        recipe: how.
        example: inputs of the network; only shapes and types matter.
        folded: batch norms that are already part of a linear layer, by name.
        left_float: a sentence for each operator that int8 kernels do not know.
    """

    def __init__(
        self,
        graph_module: GraphModule,
        recipe: Recipe,
        example: Any,
        folded: dict[str, str],
        left_float: Sequence[str] = (),
    ) -> None:
        super().__init__()
        self.graph_module = graph_module
        self.recipe = recipe
        self.mode: Mode = recipe.mode
        self.like = {
            name: (tuple(part.shape[1:]), part.dtype) for name, part in named(example).items()
        }
        self.folded = folded
        self.left_float = tuple(left_float)
        self.observers_frozen = False
        self.batch_norm_frozen = False
        self.train(self.mode == "qat")

    def forward(self, *x: Tensor) -> Tensor:
        """Inputs (N, *shape) to logits (N, C)."""
        return self.graph_module(*x)

    def train(self, mode: bool = True) -> Prepared:
        """Training or evaluation; a network prepared for PTQ only evaluates."""
        self.training = mode
        learns = mode and self.mode == "qat"
        self._switch_batch_norm(learns and not self.batch_norm_frozen)
        follows = self.recipe.ranges != "learned"  # a learned one only starts from the data
        self.observe(learns and follows and not self.observers_frozen)
        return self

    def load_state_dict(
        self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False
    ) -> Any:
        """Like any module's; a plain dictionary is taken as written by this version of torchao.

        Without the versions that `state_dict()` carries beside its tensors, observers take a state
        for one of their oldest and put their own eps in place of the saved one.
        """
        complete = OrderedDict(state_dict)
        complete._metadata = self.state_dict()._metadata  # type: ignore[attr-defined]
        return super().load_state_dict(complete, strict, assign)

    def observe(self, on: bool) -> None:
        """Lets the observers of activations follow what they see, or not."""
        for quantizer in self.activation_quantizers():
            quantizer.enable_observer(on)

    def activation_quantizers(self) -> Iterator[ActivationQuantizer]:
        """The fake quantizers whose ranges are learnt from data, each once."""
        for quantizer in self.fake_quantizers():
            if isinstance(quantizer, ActivationQuantizer):
                yield quantizer

    def layers(self) -> dict[ActivationQuantizer, str]:
        """For each of `activation_quantizers` the first layer whose output it quantizes."""
        found: dict[ActivationQuantizer, str] = {}
        named_modules = dict(self.graph_module.named_modules(remove_duplicate=False))
        for node in self.graph_module.graph.nodes:
            quantizer = named_modules.get(str(node.target)) if node.op == "call_module" else None
            if isinstance(quantizer, ActivationQuantizer) and quantizer not in found:
                source = node.args[0]
                while source.target in CLAMPS:
                    source = source.args[0]
                *around, operator = owners(source)
                found[quantizer] = around[-1] if around else operator
        return found

    def fake_quantizers(self) -> Iterator[FakeQuantize]:
        """All fake quantizers, those of weights and of fixed ranges as well, each once."""
        for module in self.graph_module.modules():
            if isinstance(module, FakeQuantize):
                yield module

    def refresh_weight_ranges(self) -> None:
        """Brings the scales of the weights up to date with the weights, without changing more."""
        training = self.training
        self.eval()
        device = next(self.graph_module.parameters(), torch.zeros(())).device
        with torch.no_grad():
            self(*zeros_like(self.like, device).values())
        self.train(training)

    def require_ranges(self) -> None:
        """Raises a StageError if an activation was never observed."""
        for quantizer in self.activation_quantizers():
            observer = quantizer.activation_post_process
            if not bool(torch.isfinite(observer.min_val).all()):
                raise StageError(
                    "The quantizer has seen no data, so that it has no ranges.",
                    fix="train the prepared network, or call calibrate(prepared, batches)",
                )

    def _switch_batch_norm(self, training: bool) -> None:
        changed = False
        for node in batch_norms(self.graph_module):
            if node.args[5] != training:
                node.update_arg(5, training)
                changed = True
        if changed:
            self.graph_module.recompile()
