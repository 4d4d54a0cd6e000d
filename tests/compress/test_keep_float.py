"""Layers that stay float in an int8 network: chosen by name, in the graph and in both files."""

from __future__ import annotations

from collections import Counter

import pytest
import torch
from edge_nets import inputs, make

from edgekd.compress.quantize import (
    calibrate,
    convert,
    float_weights_into,
    load,
    prepare_ptq,
    prepare_qat,
    save,
)
from edgekd.errors import StageError

PREPARE = {"qat": prepare_qat, "ptq": prepare_ptq}
q = torch.ops.quantized_decomposed
DEQUANTIZERS = (q.dequantize_per_tensor.default, q.dequantize_per_channel.default)


def kept(mode: str, name: str, *layers: str):
    prepared = PREPARE[mode](make(name), inputs(2), keep_float=layers)
    calibrate(prepared, [inputs()])
    return prepared


def float_layers(converted) -> Counter[str]:
    """Operators with weights that are computed in float."""
    aten = torch.ops.aten
    weighted = [
        n for n in converted.graph.nodes if n.target in (aten.conv2d.default, aten.linear.default)
    ]
    return Counter("float" if n.args[1].target not in DEQUANTIZERS else "int8" for n in weighted)


@pytest.mark.parametrize(
    ("mode", "layers", "floats"),
    [
        ("qat", ("stem", "blocks.1"), 4),
        ("ptq", ("blocks.*.second", "classifier"), 3),
        ("ptq", ("*",), 7),
    ],
)
def test_named_layers_stay_float(mode, layers, floats):
    prepared = kept(mode, "residual", *layers)
    converted = convert(prepared, fold=True)
    found = float_layers(converted)
    assert found["float"] == floats and found.total() == 7
    x = inputs(seed=5)
    with torch.no_grad():
        wanted = make("residual")(x)
        got = converted(x)
    assert (got - wanted).std() < 0.15 * wanted.std()


def test_input_and_output_stay_int8_around_layers_in_float():
    converted = convert(kept("ptq", "residual", "*"), fold=True)
    targets = [n.target for n in converted.graph.nodes if n.op == "call_function"]
    assert targets[0] is q.quantize_per_tensor.default
    assert targets[-1] is q.dequantize_per_tensor.default
    assert targets.count(q.quantize_per_tensor.default) == 2


def test_a_function_is_kept_by_its_name_in_the_graph():
    converted = convert(kept("ptq", "mobile", "hardswish_1"), fold=True)
    aten = torch.ops.aten
    products = [n for n in converted.graph.nodes if n.target is aten.mul.Tensor]
    floats = [n for n in products if n.all_input_nodes[-1].target not in DEQUANTIZERS]
    assert len(floats) == 2 and len(products) > 4  # of the three hard-swishes, one


def test_a_name_of_no_layer_tells_the_nearest():
    with pytest.raises(StageError, match="clasifier") as caught:
        prepare_ptq(make("residual"), inputs(2), keep_float=["clasifier"])
    assert "classifier" in caught.value.fix


@pytest.mark.parametrize("mode", ["qat", "ptq"])
def test_saved_and_loaded_is_bit_identical(mode, tmp_path):
    prepared = kept(mode, "mobile", "expand", "mean")
    save(prepared, tmp_path)
    again = load(make("mobile", seed=3), tmp_path)
    assert again.recipe == prepared.recipe
    x = inputs(seed=7)
    assert torch.equal(convert(again, fold=True)(x), convert(prepared, fold=True)(x))


def test_trained_weights_of_layers_in_float_come_back():
    prepared, x = kept("qat", "residual", "stem"), inputs()
    optimizer = torch.optim.SGD(prepared.train().parameters(), 0.01)
    prepared(x).square().mean().backward()
    optimizer.step()
    got = float_weights_into(make("residual", seed=4), prepared.eval())
    with torch.no_grad():
        assert (got.eval()(x) - prepared(x)).std() < 0.15 * prepared(x).std()
