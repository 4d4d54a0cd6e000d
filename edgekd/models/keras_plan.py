"""A Keras model as steps of a torch network, with its weights.

Keras on its torch backend is a torch module already, and a poor one to compress: its kernels are
transposed in the graph, its batch norms are single products and sums, so that nothing folds and
nothing quantizes. Layer by layer translated, it is a network like any other: trained, pruned,
quantized and exported.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from edgekd.errors import StageError
from edgekd.models.keras_network import ACTIVATIONS, INPUT, KerasNetwork, key_of, made

Weights = dict[str, Tensor]


class Plan:
    """The steps so far, and what each makes of a sample of zeros: sizes decide the padding."""

    def __init__(self, sample: Tensor, where: str) -> None:
        self.where = where
        self.steps: list[dict[str, Any]] = []
        self.layers: dict[str, nn.Module] = {}
        self.values: dict[str, Tensor] = {INPUT: sample}

    def add(
        self,
        layer: Any,
        kind: str,
        sources: list[str],
        weights: Weights | None = None,
        **arguments: Any,
    ) -> str:
        """Adds a step and returns its name."""
        name = base = str(layer.name) if not isinstance(layer, str) else layer
        number = 1
        while key_of(name) in self.layers or name == INPUT:
            number += 1
            name = f"{base}_{number}"
        step = {"name": name, "kind": kind, "inputs": sources, "arguments": arguments}
        module = made(step).eval()
        if weights is not None:
            module.load_state_dict(weights, strict=False)
        try:
            with torch.no_grad():
                self.values[name] = module(*(self.values[source] for source in sources))
        except (RuntimeError, ValueError, IndexError) as error:
            raise self.refuse(layer, f"it does not take this input: {error}") from error
        self.steps.append(step)
        self.layers[key_of(name)] = module
        return name

    def size(self, source: str) -> tuple[int, int]:
        """Height and width of a value."""
        return tuple(self.values[source].shape[2:])  # type: ignore[return-value]

    def refuse(self, layer: Any, why: str) -> StageError:
        """The error of a layer that has no translation."""
        name = layer if isinstance(layer, str) else f"{layer.name} ({type(layer).__name__})"
        return StageError(
            f"The layer {name} cannot be translated: {why}",
            where=self.where,
            fix=f"layers that can: {', '.join(sorted(LAYERS))}; or export the model to ONNX and "
            "give it as teacher.onnx, or to `edgekd quantize`",
        )

    def network(self) -> KerasNetwork:
        """The network of all steps, with the weights."""
        network = KerasNetwork(self.steps)
        for key, layer in self.layers.items():
            network.layers[key].load_state_dict(layer.state_dict())
        return network


def plan_of(model: Any, sample: Tensor, where: str) -> Plan:
    """Translates a Keras model with one input and one output.

    Args:
        model: keras.Sequential, or a functional keras.Model.
        sample: zeros (1, C, H, W) or (1, F), channels first: what the network will take.
        where: names the model in errors.

    Raises:
        StageError: a layer has no translation; names it and those that have one.
    """
    plan = Plan(sample, where)
    _model(plan, model, [INPUT])
    if not plan.steps:
        raise StageError("This Keras model has no layers.", where=where)
    return plan


def _model(plan: Plan, model: Any, sources: list[str]) -> str:
    """Adds the layers of a model, also of one that is a layer of another."""
    kind = type(model).__name__
    if kind == "Sequential":
        current = sources
        for layer in model.layers:
            current = [_layer(plan, layer, current)]
        return current[0]
    if kind not in ("Functional", "Model"):
        raise plan.refuse(model, "a subclassed model keeps its graph in its own code.")
    config = model.get_config()
    inputs, outputs = _ends(config["input_layers"]), _ends(config["output_layers"])
    if len(inputs) != 1 or len(outputs) != 1 or len(sources) != 1:
        raise plan.refuse(model, f"it has {len(inputs)} inputs and {len(outputs)} outputs.")
    nodes = {layer["name"]: layer["inbound_nodes"] for layer in config["layers"]}
    operations = {operation.name: operation for operation in model.operations}
    known: dict[tuple[str, int], str] = {(inputs[0][0], 0): sources[0]}

    def value(name: str, node: int) -> str:
        if (name, node) not in known:
            history = _histories(nodes[name][node])
            parts = [value(*each) for each in history]
            known[name, node] = _layer(plan, operations[name], parts)
        return known[name, node]

    return value(*outputs[0][:2])


def _ends(raw: Any) -> list[Any]:
    """Keras writes one end as [name, node, tensor], and several as a list of those."""
    return [raw] if raw and isinstance(raw[0], str) else list(raw)


def _histories(node: Any) -> list[tuple[str, int]]:
    """The layers that feed a node, in the order of its arguments."""
    if isinstance(node, dict):
        if node.get("class_name") == "__keras_tensor__":
            name, index, _tensor = node["config"]["keras_history"]
            return [(name, index)]
        return _histories(node.get("args", []))
    if isinstance(node, list | tuple):
        return [found for part in node for found in _histories(part)]
    return []


def _layer(plan: Plan, layer: Any, sources: list[str]) -> str:
    kind = type(layer).__name__
    if kind in ("Sequential", "Functional", "Model"):
        return _model(plan, layer, sources)
    if kind not in LAYERS:
        raise plan.refuse(layer, "there is no translation of its kind.")
    if getattr(layer, "data_format", "channels_last") != "channels_last":
        raise plan.refuse(layer, "its channels are not last.")
    return LAYERS[kind](plan, layer, sources)


def _activated(plan: Plan, layer: Any, name: str) -> str:
    """The activation that Keras keeps inside of a layer."""
    function = getattr(layer, "activation", None)
    called = getattr(function, "__name__", "linear" if function is None else "")
    if called == "linear":
        return name
    if called not in ACTIVATIONS:
        raise plan.refuse(layer, f"its activation {called or function} is not known.")
    if called == "softmax" and plan.values[name].ndim != 2:
        raise plan.refuse(layer, "a softmax over the channels of a picture.")
    return plan.add(f"{layer.name}_{called}", "activation", [name], name=called)


def same_padding(size: int, kernel: int, stride: int, dilation: int = 1) -> tuple[int, int]:
    """TensorFlow's "same": zeros before and after, the larger half after."""
    total = max((math.ceil(size / stride) - 1) * stride + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def _padded(plan: Plan, layer: Any, source: str, kernel: Any, dilation: Any) -> tuple[str, Any]:
    """Puts zeros around an input that a convolution cannot put there itself: more after it than
    before. Returns the input and the convolution's own padding.
    """
    if layer.padding == "valid":
        return source, (0, 0)
    if layer.padding != "same":
        raise plan.refuse(layer, f"padding {layer.padding} is not known.")
    pairs = [
        same_padding(size, k, s, d)
        for size, k, s, d in zip(plan.size(source), kernel, layer.strides, dilation, strict=True)
    ]
    if all(before == after for before, after in pairs):
        return source, tuple(before for before, _after in pairs)
    (top, bottom), (left, right) = pairs
    padding = (left, right, top, bottom)
    return plan.add(f"{layer.name}_pad", "pad", [source], padding=padding), (0, 0)


def _conv(plan: Plan, layer: Any, sources: list[str]) -> str:
    kernel = np.asarray(layer.get_weights()[0])
    depthwise = type(layer).__name__ == "DepthwiseConv2D"
    if depthwise:
        height, width, channels, times = kernel.shape
        weight = kernel.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)
        groups = channels
    else:
        weight, groups = kernel.transpose(3, 2, 0, 1), int(layer.groups)
    biases = layer.get_weights()[1:]
    name = _convolution(plan, layer, sources[0], layer.name, weight, groups, biases)
    return _activated(plan, layer, name)


def _convolution(
    plan: Plan, layer: Any, source: str, name: str, weight: Any, groups: int, biases: list[Any]
) -> str:
    kernel, dilation = weight.shape[2:], tuple(layer.dilation_rate)
    fed, padding = _padded(plan, layer, source, kernel, dilation)
    tensors = {"weight": torch.tensor(weight)}
    if biases:
        tensors["bias"] = torch.tensor(np.asarray(biases[0]))
    return plan.add(
        name, "conv", [fed], tensors,
        in_channels=weight.shape[1] * groups, out_channels=weight.shape[0],
        kernel_size=tuple(kernel), stride=tuple(layer.strides), padding=padding,
        dilation=dilation, groups=groups, bias=bool(biases),
    )  # fmt: skip


def _separable(plan: Plan, layer: Any, sources: list[str]) -> str:
    depthwise, pointwise, *biases = (np.asarray(w) for w in layer.get_weights())
    height, width, channels, times = depthwise.shape
    weight = depthwise.transpose(2, 3, 0, 1).reshape(channels * times, 1, height, width)
    first = _convolution(plan, layer, sources[0], f"{layer.name}_depthwise", weight, channels, [])
    weight = pointwise.transpose(3, 2, 0, 1)
    tensors = {"weight": torch.tensor(weight)}
    if biases:
        tensors["bias"] = torch.tensor(biases[0])
    name = plan.add(
        layer.name, "conv", [first], tensors, in_channels=weight.shape[1],
        out_channels=weight.shape[0], kernel_size=(1, 1), bias=bool(biases),
    )  # fmt: skip
    return _activated(plan, layer, name)


def _dense(plan: Plan, layer: Any, sources: list[str]) -> str:
    if plan.values[sources[0]].ndim != 2:
        raise plan.refuse(layer, "its input is no row of numbers; put a Flatten before it.")
    kernel, *biases = (np.asarray(w) for w in layer.get_weights())
    tensors = {"weight": torch.tensor(kernel.T.copy())}
    if biases:
        tensors["bias"] = torch.tensor(biases[0])
    inputs, outputs = kernel.shape
    name = plan.add(
        layer, "dense", sources, tensors, in_features=inputs, out_features=outputs,
        bias=bool(biases),
    )  # fmt: skip
    return _activated(plan, layer, name)


def _batch_norm(plan: Plan, layer: Any, sources: list[str]) -> str:
    value = plan.values[sources[0]]
    if layer.axis not in (-1, value.ndim - 1):
        raise plan.refuse(layer, f"it normalises axis {layer.axis}, which is not the channels'.")
    stored = [torch.tensor(np.asarray(w)) for w in layer.get_weights()]
    scale = stored.pop(0) if layer.scale else torch.ones(value.shape[1])
    shift = stored.pop(0) if layer.center else torch.zeros(value.shape[1])
    tensors = {
        "weight": scale, "bias": shift, "running_mean": stored[0], "running_var": stored[1],
    }  # fmt: skip
    kind = "batch_norm" if value.ndim == 4 else "batch_norm_rows"
    return plan.add(
        layer, kind, sources, tensors, num_features=value.shape[1], eps=float(layer.epsilon),
        momentum=1 - float(layer.momentum),
    )  # fmt: skip


def _pool(plan: Plan, layer: Any, sources: list[str]) -> str:
    kind = "max_pool" if type(layer).__name__.startswith("Max") else "mean_pool"
    kernel, strides = tuple(layer.pool_size), tuple(layer.strides)
    arguments: dict[str, Any] = {"kernel_size": kernel, "stride": strides}
    if layer.padding == "same":
        pairs = [
            same_padding(*each) for each in zip(plan.size(sources[0]), kernel, strides, strict=True)
        ]
        if all(before == after for before, after in pairs):
            arguments["padding"] = tuple(before for before, _after in pairs)
            if kind == "mean_pool":
                arguments["count_include_pad"] = False
        elif all(before == 0 for before, _after in pairs):
            arguments["ceil_mode"] = True  # windows that end beyond the edge look at what is there
        else:
            raise plan.refuse(layer, "its padding has no equal in torch.")
    return plan.add(layer, kind, sources, **arguments)


def _global_pool(plan: Plan, layer: Any, sources: list[str]) -> str:
    how = "mean" if "Average" in type(layer).__name__ else "max"
    return plan.add(layer, "global_pool", sources, how=how, keep=bool(layer.keepdims))


def _relu(plan: Plan, layer: Any, sources: list[str]) -> str:
    if getattr(layer, "threshold", 0):
        raise plan.refuse(layer, "its threshold is not 0.")
    slope = float(layer.negative_slope or 0)
    most = getattr(layer, "max_value", None)
    if most not in (None, 6, 6.0) or (slope and most):
        raise plan.refuse(layer, f"its largest value is {most}, and not 6.")
    if slope:
        return plan.add(layer, "leaky_relu", sources, negative_slope=slope)
    return plan.add(layer, "activation", sources, name="relu6" if most else "relu")


def _activation(plan: Plan, layer: Any, sources: list[str]) -> str:
    return _activated(plan, layer, sources[0])


def _softmax(plan: Plan, layer: Any, sources: list[str]) -> str:
    if plan.values[sources[0]].ndim != 2:
        raise plan.refuse(layer, "a softmax over the channels of a picture.")
    return plan.add(layer, "activation", sources, name="softmax")


def _zeros(plan: Plan, layer: Any, sources: list[str]) -> str:
    (top, bottom), (left, right) = layer.padding
    return plan.add(layer, "pad", sources, padding=(left, right, top, bottom))


def _reshape(plan: Plan, layer: Any, sources: list[str]) -> str:
    value = plan.values[sources[0]]
    shape = tuple(getattr(layer, "target_shape", (-1,)))
    if len(shape) not in (1, 3):
        raise plan.refuse(layer, f"it makes {shape}, which is neither a row nor a picture.")
    if -1 in shape:
        rest = -math.prod(shape)
        shape = tuple(value[0].numel() // rest if size == -1 else size for size in shape)
    return plan.add(layer, "reshape", sources, shape=shape)


def _dropout(plan: Plan, layer: Any, sources: list[str]) -> str:
    return plan.add(layer, "dropout", sources, p=float(layer.rate))


def _together(how: str) -> Callable[[Plan, Any, list[str]], str]:
    def translate(plan: Plan, layer: Any, sources: list[str]) -> str:
        rank = plan.values[sources[0]].ndim
        if how == "concat" and layer.axis not in (-1, rank - 1):
            raise plan.refuse(layer, f"it joins along axis {layer.axis}, not the channels.")
        if len(sources) < 2:
            raise plan.refuse(layer, "one of its parts is a constant.")
        return plan.add(layer, "together", sources, how=how)

    return translate


def _affine(plan: Plan, layer: Any, sources: list[str]) -> str:
    value = plan.values[sources[0]]
    channels = value.shape[1]
    if type(layer).__name__ == "Rescaling":
        factor, offset = np.asarray(layer.scale, float), np.asarray(layer.offset, float)
    else:
        mean, variance = (np.asarray(part, float).ravel() for part in (layer.mean, layer.variance))
        if layer.invert or mean.size not in (1, channels):
            raise plan.refuse(layer, "it normalises something else than the channels.")
        std = np.maximum(np.sqrt(variance), 1e-7)  # keras.backend.epsilon()
        factor, offset = 1 / std, -mean / std
    each = [np.broadcast_to(part.ravel(), channels).tolist() for part in (factor, offset)]
    return plan.add(layer, "affine", sources, factor=each[0], offset=each[1], rank=value.ndim)


def _nothing(plan: Plan, layer: Any, sources: list[str]) -> str:
    return sources[0]


LAYERS: dict[str, Callable[[Plan, Any, list[str]], str]] = {
    "InputLayer": _nothing,
    "Conv2D": _conv,
    "DepthwiseConv2D": _conv,
    "SeparableConv2D": _separable,
    "Dense": _dense,
    "BatchNormalization": _batch_norm,
    "Activation": _activation,
    "ReLU": _relu,
    "LeakyReLU": _relu,
    "Softmax": _softmax,
    "MaxPooling2D": _pool,
    "AveragePooling2D": _pool,
    "GlobalAveragePooling2D": _global_pool,
    "GlobalMaxPooling2D": _global_pool,
    "ZeroPadding2D": _zeros,
    "Flatten": _reshape,
    "Reshape": _reshape,
    "Dropout": _dropout,
    "Add": _together("add"),
    "Multiply": _together("multiply"),
    "Subtract": _together("subtract"),
    "Concatenate": _together("concat"),
    "Rescaling": _affine,
    "Normalization": _affine,
}
"""What is translated, by the name of Keras's class."""
