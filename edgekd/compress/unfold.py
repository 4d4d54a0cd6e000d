"""Operators that are written out in ones that the runtimes have in int8, in an exported graph.

Each function gets `call`, which adds an operator to the graph, and the arguments of the operator
that it replaces. Scalars may be operands: they become tensors afterwards.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

aten = torch.ops.aten

Call = Callable[..., Node]
UNFOLDED_FROM = "unfolded_from"
"""In `node.meta`: name of the node that this one is a part of."""


def unfold(model: GraphModule) -> None:
    """Replaces every operator that `UNFOLDED` knows, in place."""
    for node in list(model.graph.nodes):
        written_out = UNFOLDED.get(node.target)
        if written_out is None:
            continue
        new = written_out(_calling(model, node), *node.args, **node.kwargs)
        if isinstance(new, Node):
            node.replace_all_uses_with(new)
        elif new is not None:  # one for each part of a tuple
            for part in list(node.users):
                part.replace_all_uses_with(new[part.args[1]])
                model.graph.erase_node(part)
        if new is not None:
            model.graph.erase_node(node)


def _calling(model: GraphModule, node: Node) -> Call:
    """Adds operators before `node` that belong to the same layer."""
    own = {key: value for key, value in node.meta.items() if key != "val"}

    def call(target: Any, *args: Any, **kwargs: Any) -> Node:
        def value(part: Node) -> Any:
            return part.meta["val"]

        fake_args, fake_kwargs = map_arg((args, kwargs), value)
        with model.graph.inserting_before(node):
            new = model.graph.call_function(target, args, kwargs)
        new.meta = {**own, UNFOLDED_FROM: node.name, "val": target(*fake_args, **fake_kwargs)}
        return new

    return call


def _hardsigmoid(call: Call, x: Node) -> Node:
    """relu6(x + 3) / 6. ONNX Runtime has neither this nor hard-swish in int8."""
    moved = call(aten.add.Tensor, x, 3.0)
    return call(aten.mul.Tensor, call(aten.hardtanh.default, moved, 0.0, 6.0), 1 / 6)


def _hardswish(call: Call, x: Node) -> Node:
    """x hardsigmoid(x). LiteRT's own kernel, not in XNNPACK, is a step off at one value in a
    hundred, which a deep network multiplies."""
    return call(aten.mul.Tensor, x, _hardsigmoid(call, x))


def _silu(call: Call, x: Node) -> Node:
    """x sigmoid(x), as both runtimes would write it themselves, in float."""
    return call(aten.mul.Tensor, x, call(aten.sigmoid.default, x))


def _elu(call: Call, x: Node, alpha: float = 1, scale: float = 1, speed: float = 1) -> Node | None:
    """Clevert et al. 2016: relu(x) + alpha (exp(min(x, 0)) - 1)."""
    if (scale, speed) != (1, 1):
        return None
    positive = call(aten.relu.default, x)
    exponential = call(aten.exp.default, call(aten.sub.Tensor, x, positive))
    if alpha != 1:
        exponential = call(aten.mul.Tensor, exponential, alpha)
    return call(aten.add.Tensor, positive, call(aten.add.Tensor, exponential, -alpha))


def _prelu(call: Call, x: Node, weight: Node) -> Node:
    """He et al. 2015: relu(x) + weight min(x, 0), a weight for each channel."""
    positive = call(aten.relu.default, x)
    wide = [-1, *[1] * (x.meta["val"].ndim - 2)]
    slope = call(aten.reshape.default, weight, wide) if len(wide) > 1 else weight
    negative = call(aten.mul.Tensor, call(aten.sub.Tensor, x, positive), slope)
    return call(aten.add.Tensor, positive, negative)


def _attention(
    call: Call,
    query: Node,
    key: Node,
    value: Node,
    mask: Node | None = None,
    dropout: float = 0.0,
    causal: bool = False,
    *,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Node | None:
    """Vaswani et al. 2017, equation 1; a masked one stays as it is."""
    if mask is not None or causal or enable_gqa:
        return None
    scale = int(query.meta["val"].shape[-1]) ** -0.5 if scale is None else scale
    scaled = call(aten.mul.Tensor, query, scale)
    products = call(aten.matmul.default, scaled, call(aten.transpose.int, key, -2, -1))
    return call(aten.matmul.default, call(aten.softmax.int, products, -1), value)


def _linear(call: Call, x: Node, weight: Node, bias: Node | None = None) -> Node | None:
    """A linear layer on tokens is one on rows: ONNX Runtime adds int32 biases in Gemm only."""
    shape = list(x.meta["val"].shape)
    if len(shape) < 3 or not all(isinstance(size, int) for size in shape[1:]):
        return None
    rows = call(aten.reshape.default, x, [-1, shape[-1]])
    given = (rows, weight) if bias is None else (rows, weight, bias)
    y = call(aten.linear.default, *given)
    return call(aten.reshape.default, y, [-1, *shape[1:-1], int(y.meta["val"].shape[-1])])


def _division(call: Call, x: Node, divisor: Any) -> Node | None:
    """By a number: a product, which both runtimes have in int8."""
    return None if isinstance(divisor, Node) else call(aten.mul.Tensor, x, 1 / divisor)


def _square(call: Call, x: Node, exponent: float = 2) -> Node | None:
    return call(aten.mul.Tensor, x, x) if exponent == 2 else None


def _negative(call: Call, x: Node) -> Node:
    return call(aten.mul.Tensor, x, -1.0)


def _reversed_sub(call: Call, x: Node, other: float) -> Node:
    """other - x."""
    return call(aten.add.Tensor, _negative(call, x), other)


def _split(call: Call, x: Node, size: Any, axis: int = 0) -> list[Node]:
    """Parts of `size`, or of the sizes in a list, as slices."""
    whole = int(x.meta["val"].shape[axis])
    sizes = [size] * (whole // size) + [whole % size] if isinstance(size, int) else size
    starts = [sum(sizes[:number]) for number in range(len(sizes))]
    return [
        call(aten.slice.Tensor, x, axis, start, start + size)
        for start, size in zip(starts, sizes, strict=True)
        if size
    ]


def _chunk(call: Call, x: Node, count: int, axis: int = 0) -> list[Node]:
    return _split(call, x, -(-int(x.meta["val"].shape[axis]) // count), axis)


def _unbind(call: Call, x: Node, axis: int = 0) -> list[Node]:
    count = int(x.meta["val"].shape[axis])
    return [call(aten.select.int, x, axis, number) for number in range(count)]


def _stack(call: Call, parts: Sequence[Node], axis: int = 0) -> Node:
    axis = axis if axis >= 0 else axis + parts[0].meta["val"].ndim + 1
    return call(aten.cat.default, [call(aten.unsqueeze.default, x, axis) for x in parts], axis)


def _padded(operator: Any) -> Callable[..., Any]:
    """A convolution with `padding="same"` or "valid", in numbers; uneven ones stay as they are."""

    def write(
        call: Call,
        x: Node,
        weight: Node,
        bias: Node | None = None,
        stride: Any = 1,
        padding: str = "valid",
        dilation: Any = 1,
        groups: int = 1,
    ) -> Node | None:
        sizes = list(weight.meta["val"].shape[2:])
        stride, steps = (
            list(given) if isinstance(given, list | tuple) else [given] * len(sizes)
            for given in (stride, dilation)
        )
        wide = [step * (size - 1) for step, size in zip(steps, sizes, strict=True)]
        if padding == "same" and any(each % 2 for each in wide):
            return None
        numbers = [each // 2 if padding == "same" else 0 for each in wide]
        return call(operator, x, weight, bias, stride, numbers, steps, groups)

    return write


UNFOLDED: dict[Any, Callable[..., Any]] = {
    aten.conv1d.padding: _padded(aten.conv1d.default),
    aten.conv2d.padding: _padded(aten.conv2d.default),
    aten.hardsigmoid.default: _hardsigmoid,
    aten.hardswish.default: _hardswish,
    aten.silu.default: _silu,
    aten.elu.default: _elu,
    aten.prelu.default: _prelu,
    aten.scaled_dot_product_attention.default: _attention,
    aten.linear.default: _linear,
    aten.div.Tensor: _division,
    aten.pow.Tensor_Scalar: _square,
    aten.square.default: _square,
    aten.neg.default: _negative,
    aten.rsub.Scalar: _reversed_sub,
    aten.split.Tensor: _split,
    aten.split_with_sizes.default: _split,
    aten.chunk.default: _chunk,
    aten.unbind.int: _unbind,
    aten.stack.default: _stack,
}
"""Operators and what writes them out; it gives None for what it leaves as it is."""
