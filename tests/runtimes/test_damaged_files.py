"""Truncated, changed and hostile model files: an explained error or a model, never a crash."""

from __future__ import annotations

import functools
import struct
import tempfile
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from tiny_models import Tiny

from edgekd.errors import EdgekdError
from edgekd.runtimes import load
from edgekd.runtimes.check_onnx import read_onnx
from edgekd.runtimes.check_tflite import check_content
from edgekd.runtimes.probe import probe

EXAMPLES = 150


@functools.cache
def content(form: str, precision: str) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return Tiny().write(Path(folder), form, precision).read_bytes()


def changed(original: bytes, cut: int, flips: list[tuple[int, int]]) -> bytes:
    """Some bytes changed, and the end cut off."""
    made = bytearray(original)
    for place, value in flips:
        made[place % len(made)] = value
    return bytes(made[: max(1, len(made) - cut)])


MUTATION = st.tuples(
    st.one_of(st.just(0), st.integers(0, 2000)),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), max_size=6),
)


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(["float32", "int8"]), MUTATION)
def test_a_changed_tflite_file_is_read_or_refused(precision, mutation):
    try:
        check_content(changed(content("tflite", precision), *mutation), "x.tflite")
    except EdgekdError as error:
        assert error.where


@settings(max_examples=EXAMPLES)
@given(st.sampled_from(["float32", "int8"]), MUTATION)
def test_a_changed_onnx_file_is_read_or_refused(precision, mutation):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.onnx"
        path.write_bytes(changed(content("onnx", precision), *mutation))
        try:
            read_onnx(path)
        except EdgekdError as error:
            assert str(path) in error.where


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_every_offset_of_a_tflite_file_is_followed_in_its_bounds(precision):
    """Each word of the file in turn as far away as can be: forwards, and backwards."""
    original = content("tflite", precision)
    check_content(original, "whole")
    refused = 0
    for place in range(0, len(original) - 4, 4):
        for word in (2**32 - 1, 2**31 - 1, 2**31):
            made = bytearray(original)
            struct.pack_into("<I", made, place, word)
            try:
                check_content(bytes(made), "x.tflite")
            except EdgekdError:
                refused += 1
    assert refused > 100


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_every_truncation_is_explained(form, tmp_path):
    original = content(form, "int8")
    path = tmp_path / f"x.{form}"
    for length in range(1, len(original), 61):
        path.write_bytes(original[:length])
        with pytest.raises(EdgekdError):
            load(path)


def onnx_file(path: Path, *nodes, weights=(), shape=("batch", 4), opset: int = 17) -> Path:
    """A file of some nodes from x to y."""
    graph = helper.make_graph(
        list(nodes) or [helper.make_node("Identity", ["x"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        list(weights),
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    path.write_bytes(model.SerializeToString())
    return path


def claimed(*dims: int) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    tensor.dims[:] = dims
    return tensor


@pytest.mark.parametrize("dims", [(2**20, 2**20), (-4,), (5,), (3,)])
def test_weights_that_are_not_what_their_shape_says(dims, tmp_path):
    path = onnx_file(tmp_path / "x.onnx", weights=[claimed(*dims)])
    with pytest.raises(EdgekdError, match="tensor w") as caught:
        read_onnx(path)
    assert caught.value.where == str(path)


def test_constants_in_branches_are_looked_at(tmp_path):
    inner = helper.make_graph(
        [helper.make_node("Constant", [], ["c"], value=claimed(2**30, 2**30))],
        "branch",
        [],
        [helper.make_tensor_value_info("c", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["x"], ["y"], then_branch=inner, else_branch=inner)
    with pytest.raises(EdgekdError, match="shape of"):
        read_onnx(onnx_file(tmp_path / "x.onnx", node))


def external(location: str, **more: int) -> TensorProto:
    tensor = numpy_helper.from_array(np.zeros(4, np.float32), "w")
    onnx.external_data_helper.set_external_data(tensor, location, **more)
    tensor.ClearField("raw_data")
    return tensor


@pytest.mark.parametrize("location", ["../secret.bin", "/etc/passwd", "a/../../secret.bin", ""])
def test_weights_in_files_outside_of_the_folder(location, tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    path = onnx_file(tmp_path / "model" / "x.onnx", weights=[external(location)])
    with pytest.raises(EdgekdError, match="out of its folder"):
        read_onnx(path)


def test_weights_in_a_link_that_leads_out(tmp_path):
    (tmp_path / "model").mkdir()
    (tmp_path / "secret.bin").write_bytes(bytes(16))
    (tmp_path / "model" / "w.bin").symlink_to(tmp_path / "secret.bin")
    with pytest.raises(EdgekdError, match="out of its folder"):
        read_onnx(onnx_file(tmp_path / "model" / "x.onnx", weights=[external("w.bin")]))


def test_weights_beside_the_file_are_bounded(tmp_path):
    path = onnx_file(tmp_path / "x.onnx", weights=[external("w.bin")])
    with pytest.raises(EdgekdError, match="missing"):
        read_onnx(path)
    (tmp_path / "w.bin").write_bytes(bytes(16))
    assert len(read_onnx(path).graph.initializer) == 1
    for more in ({"offset": 8}, {"length": 17}, {"offset": 2**62, "length": 1}):
        path = onnx_file(tmp_path / "x.onnx", weights=[external("w.bin", **more)])
        with pytest.raises(EdgekdError, match="beyond the end"):
            read_onnx(path)


def test_ends_without_names_or_with_impossible_shapes(tmp_path):
    model = onnx.load(onnx_file(tmp_path / "x.onnx"))
    model.graph.input[0].name = ""
    (tmp_path / "nameless.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(EdgekdError, match="has no name"):
        read_onnx(tmp_path / "nameless.onnx")
    with pytest.raises(EdgekdError, match="impossible shape"):
        read_onnx(onnx_file(tmp_path / "x.onnx", shape=(1, 2**20, 2**20)))
    with pytest.raises(EdgekdError, match="no whole ONNX model"):
        (tmp_path / "x.onnx").write_bytes(onnx.ModelProto(ir_version=8).SerializeToString())
        read_onnx(tmp_path / "x.onnx")


def test_other_files_under_a_models_name(tmp_path):
    for name, bytes_ in (("x.onnx", b"\x80\x04K\x01."), ("x.tflite", b"\x80\x04K\x01." * 9)):
        (tmp_path / name).write_bytes(bytes_)
        with pytest.raises(EdgekdError, match=r"cannot be read|not a TFLite|no whole"):
            load(tmp_path / name)


def test_a_file_that_asks_for_all_memory_is_run_elsewhere(tmp_path):
    """64 GB from a few bytes: what no reader of shapes can know, because it is computed."""
    size = numpy_helper.from_array(np.array([2**34], np.int64), "size")
    fill = helper.make_node("ConstantOfShape", ["size"], ["large"])
    total = helper.make_node("ReduceSum", ["large"], ["s"])
    path = onnx_file(
        tmp_path / "x.onnx", fill, total, helper.make_node("Add", ["x", "s"], ["y"]), weights=[size]
    )
    read_onnx(path)
    with pytest.raises(EdgekdError) as caught:
        probe(path)
    assert str(path) in caught.value.where


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_good_files_pass_the_probe(form, tmp_path):
    probe(Tiny().write(tmp_path, form, "int8"))
