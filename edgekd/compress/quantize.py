"""Quantization-aware training and post-training quantization, to int8.

    prepared = prepare_qat(model, example)      # or prepare_ptq
    calibrate(prepared, batches)                # PTQ: needed; QAT: the ranges to start from
    ...                                         # QAT: train `prepared` like any network
    converted = convert(prepared, fold=True)    # integers, as the runtimes compute

Jacob et al. 2018, "Quantization and training of neural networks for efficient
integer-arithmetic-only inference".
"""

from __future__ import annotations

import contextlib
import copy
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from safetensors.torch import save as to_safetensors
from torch import Tensor, nn
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import (
    convert_pt2e,
    prepare_pt2e,
    prepare_qat_pt2e,
)

from edgekd.compress.calibration import calibrate
from edgekd.compress.capture import (
    batch_norm_settings,
    exported,
    restore_batch_norm_settings,
    settle_batch_norms,
)
from edgekd.compress.fold import fold_linear, fold_qat, round_biases
from edgekd.compress.prepared import Prepared, zeros_like
from edgekd.compress.quantizer import EdgeQuantizer
from edgekd.compress.recipe import USUAL_RANGES, Ranges, Recipe
from edgekd.errors import StageError
from edgekd.store import read_json, write_atomic, write_json

__all__ = [
    "calibrate",
    "convert",
    "float_weights_into",
    "freeze_batch_norm",
    "freeze_observers",
    "load",
    "prepare_ptq",
    "prepare_qat",
    "save",
]

WEIGHTS = "quantized.safetensors"
RECIPE = "quantized.json"
TYPES = {"float32": torch.float32, "int32": torch.int32}
"""Of a network's inputs."""


def prepare_qat(
    model: nn.Module,
    example: Any,
    *,
    ranges: Ranges | None = None,
    weight_bits: int = 8,
    keep_float: Sequence[str] = (),
) -> Prepared:
    """Puts fake quantizers into a copy of `model` for training through them.

    Args:
        model: float network, (N, *shape) to (N, C); not changed.
        example: inputs (at least 2, *shape), or several by name; only shapes, types and the device
            matter.
        ranges: what finds the range of an activation; None for a moving average, of PTQ for the
            least squared error.
        weight_bits: 8 or 7; see `Recipe`.
        keep_float: layers that stay float, with `*` for anything; see `Recipe`.

    Raises:
        StageError: torch.export cannot capture the network, or a layer to keep does not exist.
    """
    recipe = Recipe("qat", ranges or USUAL_RANGES["qat"], weight_bits, tuple(keep_float))
    return _prepare_qat(model, example, recipe)


def _prepare_qat(model: nn.Module, example: Any, recipe: Recipe) -> Prepared:
    graph_module = exported(model, example, training=True)
    folded = fold_linear(graph_module)
    settle_batch_norms(graph_module)
    settings = batch_norm_settings(graph_module)
    quantizer = EdgeQuantizer(recipe)
    with _quiet():
        prepared = prepare_qat_pt2e(graph_module, quantizer)
    restore_batch_norm_settings(prepared, settings)
    _free_train_eval(prepared)
    return Prepared(prepared, recipe, example, folded, quantizer.left_float)


def prepare_ptq(
    model: nn.Module,
    example: Any,
    *,
    ranges: Ranges | None = None,
    weight_bits: int = 8,
    keep_float: Sequence[str] = (),
) -> Prepared:
    """Puts fake quantizers into a copy of `model`, to be calibrated without training.

    Args and raises: see `prepare_qat`.
    """
    recipe = Recipe("ptq", ranges or USUAL_RANGES["ptq"], weight_bits, tuple(keep_float))
    return _prepare_ptq(model, example, recipe)


def _prepare_ptq(model: nn.Module, example: Any, recipe: Recipe) -> Prepared:
    graph_module = exported(model, example, training=False)
    quantizer = EdgeQuantizer(recipe)
    with _quiet():
        prepared = prepare_pt2e(graph_module, quantizer)
    _free_train_eval(prepared)
    return Prepared(prepared, recipe, example, {}, quantizer.left_float)


def freeze_observers(prepared: Prepared) -> None:
    """Keeps the ranges of activations as they are, however training goes on."""
    prepared.observers_frozen = True
    prepared.train(prepared.training)


def freeze_batch_norm(prepared: Prepared) -> None:
    """Normalises by the running statistics from now on, as the deployed network does."""
    prepared.batch_norm_frozen = True
    prepared.train(prepared.training)


def convert(prepared: Prepared, *, fold: bool) -> GraphModule:
    """The integer network of a trained or calibrated one, which may be used again.

    Args:
        prepared: what `prepare_qat` or `prepare_ptq` made.
        fold: store the weights as int8, as ONNX wants it; else keep them float before their
            quantize operator, as LiteRT's converter wants it. Both compute the same.

    Raises:
        StageError: no data was observed.
    """
    prepared.require_ranges()
    work = copy.deepcopy(prepared).eval()
    work.refresh_weight_ranges()
    if prepared.mode == "qat":
        fold_qat(work.graph_module)
    with _quiet():
        converted = convert_pt2e(work.graph_module, fold_quantize=fold)
    round_biases(converted)
    _free_train_eval(converted)
    return converted.eval()


def float_weights_into(model: nn.Module, prepared: Prepared) -> nn.Module:
    """Puts the trained float weights and batch-norm statistics back into the float network.

    Post-training quantization changes none, and then `model` stays as it is.

    Args:
        model: the network that was prepared, or one built like it; changed in place.

    Raises:
        StageError: a tensor of `model` has no partner in `prepared`.
    """
    if prepared.mode == "ptq":
        return model
    trained = prepared.graph_module.state_dict()
    state = model.state_dict()
    for name, tensor in state.items():
        owner, _, attribute = name.rpartition(".")
        if attribute == "num_batches_tracked":
            continue
        if owner in prepared.folded:
            eps = float(model.get_submodule(owner).eps)  # type: ignore[arg-type]
            bias = trained[f"{prepared.folded[owner]}.bias"]
            value = _identity_batch_norm(attribute, bias, eps)
        elif owner in prepared.folded.values() and attribute == "bias":
            value = torch.zeros_like(tensor)
        else:
            value = trained.get(name)
        if value is None or value.shape != tensor.shape:
            raise StageError(
                "A tensor of the float network has no partner in the quantized one.",
                where=name,
                fix="give the network that was quantized",
            )
        state[name] = value.detach().clone()
    model.load_state_dict(state)
    return model


def _identity_batch_norm(attribute: str, bias: Tensor, eps: float) -> Tensor:
    """Batch norm after a linear layer that took its scale over: it only adds the bias."""
    if attribute == "weight":
        return torch.full_like(bias, (1 + eps) ** 0.5)
    if attribute == "running_var":
        return torch.ones_like(bias)
    return bias if attribute == "bias" else torch.zeros_like(bias)


def save(prepared: Prepared, folder: Path) -> None:
    """Writes the state of weights and observers (safetensors) and the recipe (JSON)."""
    work = copy.deepcopy(prepared).eval()
    work.refresh_weight_ranges()
    state = {k: v.detach().clone().contiguous() for k, v in work.state_dict().items()}
    write_atomic(folder / WEIGHTS, to_safetensors(state))
    recipe = {
        **asdict(prepared.recipe),
        "inputs": [
            {"name": name, "shape": shape, "type": str(dtype).removeprefix("torch.")}
            for name, (shape, dtype) in prepared.like.items()
        ],
        "observers_frozen": prepared.observers_frozen,
        "batch_norm_frozen": prepared.batch_norm_frozen,
    }
    write_json(folder / RECIPE, recipe)


def load(model: nn.Module, folder: Path) -> Prepared:
    """Exports and prepares the float network again and fills it with what `save` wrote.

    The result computes bit by bit what the saved one did; it is in evaluation mode.

    Args:
        model: the float network that was prepared, with any weights; not changed.

    Raises:
        StageError: a file is missing, or `model` is another network.
    """
    saved: dict[str, Any] = read_json(folder / RECIPE)
    choices = {field.name: saved[field.name] for field in fields(Recipe)}
    recipe = Recipe(**{**choices, "keep_float": tuple(saved["keep_float"])})
    device = next(model.parameters()).device
    like = {part["name"]: (tuple(part["shape"]), TYPES[part["type"]]) for part in saved["inputs"]}
    example = zeros_like(like, device)
    prepare = {"qat": _prepare_qat, "ptq": _prepare_ptq}[recipe.mode]
    prepared = prepare(model, example, recipe)
    prepared.observers_frozen = saved["observers_frozen"]
    prepared.batch_norm_frozen = saved["batch_norm_frozen"]
    try:
        prepared.load_state_dict(load_file(folder / WEIGHTS))
    except (OSError, RuntimeError) as error:
        raise StageError(
            "The saved quantized network does not fit the float network.",
            where=f"{folder / WEIGHTS}: {error}",
            fix="give the float network that it was made from",
        ) from error
    return prepared.eval()


def _free_train_eval(graph_module: GraphModule) -> None:
    """Gives train() and eval() back, which torchao replaces by methods that raise."""
    for name in ("train", "eval"):
        graph_module.__dict__.pop(name, None)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silences deprecation warnings that torchao raises about its own calls."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", UserWarning)
        yield
