"""Reading the spec out of a file."""

from __future__ import annotations

import onnx
import pytest
from export_nets import exported, spec_of
from onnx import TensorProto, helper

from edgekd.errors import DataError
from edgekd.export import flatbuffer
from edgekd.export.metadata import read


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("metadata")


@pytest.mark.parametrize("format", ["onnx", "tflite"])
def test_spec_comes_back(format, folder):
    path, deployed = exported("row", "float32", format, folder)
    assert read(path) == deployed
    assert deployed.model == spec_of("row")
    assert deployed.format == format and deployed.input_quantization is None


def foreign_onnx(path, **properties):
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1])
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "g", [value], [])
    model = helper.make_model(graph)
    helper.set_model_props(model, properties)
    onnx.save(model, path)
    return path


def test_foreign_files_have_none(folder, tmp_path):
    assert read(foreign_onnx(tmp_path / "foreign.onnx")) is None
    path, _ = exported("row", "float32", "tflite", folder)
    model = flatbuffer.parse(path.read_bytes())
    model.metadata = None
    (tmp_path / "foreign.tflite").write_bytes(flatbuffer.pack(model))
    assert read(tmp_path / "foreign.tflite") is None
    (tmp_path / "text.onnx").write_bytes(b"\xff\xfenot a model at all")
    assert read(tmp_path / "text.onnx") is None


def test_broken_spec_and_missing_file(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        read(foreign_onnx(tmp_path / "broken.onnx", edgekd="{}"))
    with pytest.raises(DataError, match="cannot be opened"):
        read(tmp_path / "missing.tflite")
