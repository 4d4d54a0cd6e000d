"""Model files run as numpy's matrix product says, in both formats and precisions."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from tiny_models import INPUT, OUTPUT, Tiny

from edgekd.agent import agent

FILES = [(form, precision) for form in ("onnx", "tflite") for precision in ("float32", "int8")]


@pytest.fixture(scope="module")
def tiny():
    return Tiny()


@pytest.mark.parametrize(("form", "precision"), FILES)
@pytest.mark.parametrize("threads", [1, 2])
def test_logits_are_the_reference(tmp_path, tiny, form, precision, threads):
    model = agent.load(str(tiny.write(tmp_path, form, precision)), threads)
    x = 0.8 * tiny.samples(300)  # more than one batch; inside the int8 input's range
    steps = np.clip(np.rint(x / np.float32(INPUT.scale)) + INPUT.zero_point, -128, 127)
    seen = x if precision == "float32" else INPUT.scale * (steps - INPUT.zero_point)
    wanted, got = tiny.logits(seen), model.run(x)
    assert got.dtype == np.float32 and got.shape == (300, 4)
    if precision == "float32":
        np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-5)
        return
    low, high = (OUTPUT.scale * (n - OUTPUT.zero_point) for n in (-128, 127))
    tolerance = 0.51 if form == "onnx" else 1.6  # the TFLite file's weights are rounded as well
    assert np.abs(got - np.clip(wanted, low, high)).max() <= tolerance * OUTPUT.scale
    raw = model.run_raw(x)
    assert raw.dtype == np.int8
    np.testing.assert_allclose(got, OUTPUT.scale * (raw.astype(float) - OUTPUT.zero_point), 1e-6)


def test_onnx_int8_input_is_exactly_the_cut_off_operators(tmp_path, tiny):
    """quantize and dequantize are ONNX's QuantizeLinear and DequantizeLinear, bit by bit."""
    import onnxruntime
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "qdq",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [
            helper.make_tensor_value_info("q", TensorProto.INT8, ["n"]),
            helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"]),
        ],
        [
            helper.make_tensor("s", TensorProto.FLOAT, [], [0.0371]),
            helper.make_tensor("z", TensorProto.INT8, [], [-7]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    scale = {"scale": 0.0371, "zero_point": -7}
    random = np.random.default_rng(0).normal(scale=3, size=20_000).astype(np.float32)
    halves = np.float32(0.0371) * (np.arange(-200, 200, dtype=np.float32) + np.float32(0.5))
    x = np.concatenate([random, halves])
    q, y = session.run(None, {"x": x})
    np.testing.assert_array_equal(agent.quantize(x, scale), q)
    np.testing.assert_array_equal(agent.dequantize(np.asarray(q), scale), y)


@settings(max_examples=200, deadline=None)
@given(
    x=hnp.arrays(np.float32, 20, elements=st.floats(-(2**60), 2**60, width=32)),
    scale=st.floats(1e-6, 1e3),
    zero=st.integers(-128, 127),
)
def test_quantization_is_within_half_a_step(x, scale, zero):
    quantization = {"scale": scale, "zero_point": zero}
    back = agent.dequantize(agent.quantize(x, quantization), quantization)
    low, high = scale * (-128 - zero), scale * (127 - zero)
    assert np.abs(back - np.clip(x, low, high)).max() <= scale * 0.501


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite(tmp_path, tiny, value):
    model = agent.load(str(tiny.write(tmp_path, "onnx", "int8")))
    with pytest.raises(agent.AgentError, match="not finite"):
        model.run(np.full((1, *tiny.shape), value, np.float32))


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_wrong_shape_and_no_samples(tmp_path, tiny, form):
    model = agent.load(str(tiny.write(tmp_path, form, "float32")))
    with pytest.raises(agent.AgentError, match=r"\(3, 2, 2\), the model takes \(2, 2, 3\)"):
        model.run(np.zeros((1, 3, 2, 2), np.float32))
    with pytest.raises(agent.AgentError, match="no samples"):
        model.run(np.zeros((0, 2, 2, 3), np.float32))


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_foreign_files_take_their_own_layout(tmp_path, tiny, form):
    model = agent.load(str(tiny.write(tmp_path, form, "float32", None)))
    x = tiny.samples(5)
    given = x if form == "onnx" else np.moveaxis(x, 1, -1)
    assert model.metadata is None
    np.testing.assert_allclose(model.run(given), tiny.logits(x), rtol=1e-4, atol=1e-5)
    with pytest.raises(agent.AgentError, match="the model takes"):
        model.run(np.zeros((1, 5, 2, 2), np.float32))


@pytest.mark.parametrize("form", ["onnx", "tflite"])
@pytest.mark.parametrize("keep", [0, 1, 4, 9, 0.25, 0.5, 0.9, -1])
def test_truncated_files(tmp_path, tiny, form, keep):
    path = tiny.write(tmp_path, form, "float32")
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(agent.AgentError) as caught:
        agent.load(str(path))
    assert str(path) in caught.value.where and len(caught.value.where) < 600


def test_files_that_are_no_models(tmp_path):
    with pytest.raises(agent.AgentError, match="no such"):
        agent.load(str(tmp_path / "absent.onnx"))
    for name, words in (("a.onnx", "cannot load"), ("a.tflite", "not a TFLite"), ("a.h5", "nei")):
        (tmp_path / name).write_text("hello, I am a text of some length\n" * 9)
        with pytest.raises(agent.AgentError, match=words):
            agent.load(str(tmp_path / name))


@pytest.mark.parametrize(
    "text", ["{}", '{"model": 3}', '{"model": {"input": {"shape": ["a"]}}, "layout": "NCHW"}']
)
def test_metadata_without_what_is_needed(tmp_path, tiny, text):
    for form in ("onnx", "tflite"):
        with pytest.raises(agent.AgentError, match="lacks fields"):
            agent.load(str(tiny.write(tmp_path, form, "float32", text)))


def test_int8_without_scale(tmp_path, tiny):
    text = tiny.deployed("onnx", "float32").model_dump_json()
    model = agent.load(str(tiny.write(tmp_path, "onnx", "int8", text)))
    with pytest.raises(agent.AgentError, match="scale"):
        model.run(tiny.samples(1))


def test_litert_says_nothing(tmp_path, tiny, capfd):
    agent.load(str(tiny.write(tmp_path, "tflite", "float32"))).run(tiny.samples(1))
    assert capfd.readouterr() == ("", "")
