"""ONNX and TFLite files give torch's answers, and hold nothing that does not belong there."""

from __future__ import annotations

import json
import struct
from collections import Counter

import numpy as np
import onnx
import pytest
import torch
from export_nets import (
    digits,
    exported,
    networks,
    reference,
    run_onnx,
    run_tflite,
    samples,
    spec_of,
)
from onnx import numpy_helper
from torch import nn

from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.errors import StageError
from edgekd.export.onnx_file import export_onnx
from edgekd.export.parity import check, compare, quantization_step
from edgekd.export.tflite_file import export_tflite
from edgekd.runtimes import load

NAMES = ["resnet8", "dscnn", "row", "mobile"]
RUN = {"onnx": run_onnx, "tflite": run_tflite}


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("exported")


def tflite_model(path):
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def tflite_operators(path) -> Counter[str]:
    from ai_edge_litert import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model = tflite_model(path)
    codes = [model.operatorCodes[o.opcodeIndex] for o in model.subgraphs[0].operators]
    return Counter(names[max(c.builtinCode, c.deprecatedBuiltinCode)] for c in codes)


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("name", NAMES)
def test_int8_file_answers_like_torch_within_a_step(name, format, folder):
    path, deployed = exported(name, "int8", format, folder)
    wanted = reference(name, "int8")
    got = RUN[format](path, samples(name).numpy(), deployed)
    comparison = compare(wanted, got, quantization_step(wanted, deployed))
    check(comparison, pair=f"torch/{format}", precision="int8")
    assert comparison.n == len(wanted) == 497
    # an independent reckoning of the same
    steps = np.abs(wanted - got) / deployed.output_quantization.scale
    assert (steps < 1.01).mean() > 0.99


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("name", NAMES)
def test_float32_file_answers_like_torch(name, format, folder):
    path, deployed = exported(name, "float32", format, folder)
    wanted = reference(name, "float32")
    got = RUN[format](path, samples(name).numpy(), deployed)
    np.testing.assert_allclose(got, wanted, atol=2e-4 * np.abs(wanted).max())


def test_both_int8_files_have_the_same_quantization_and_read_digits(folder):
    onnx_path, onnx_spec = exported("resnet8", "int8", "onnx", folder)
    tflite_path, tflite_spec = exported("resnet8", "int8", "tflite", folder)
    pairs = (
        (onnx_spec.input_quantization, tflite_spec.input_quantization),
        (onnx_spec.output_quantization, tflite_spec.output_quantization),
    )
    for one, other in pairs:
        assert one.zero_point == other.zero_point
        assert one.scale == pytest.approx(other.scale, rel=1e-6)
    answers = run_onnx(onnx_path, samples("resnet8").numpy(), onnx_spec).argmax(1)[:397]
    assert (answers == digits()[1][1400:]).mean() > 0.8
    for path, format in ((onnx_path, "onnx"), (tflite_path, "tflite")):
        float_path, _ = exported("resnet8", "float32", format, folder)
        assert path.stat().st_size < 0.4 * float_path.stat().st_size


@pytest.mark.parametrize("name", NAMES)
def test_onnx_int8_file_is_clean(name, folder):
    path, _ = exported(name, "int8", "onnx", folder)
    assert {p.name for p in folder.iterdir() if p.name.startswith(path.name)} == {path.name}
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    graph = model.graph
    (source,), (target,) = graph.input, graph.output
    assert (source.name, target.name) == ("pixels", "scores")
    for end, width in ((source, spec_of(name).input.shape), (target, (10,))):
        kind = end.type.tensor_type
        assert kind.elem_type == onnx.TensorProto.INT8
        assert kind.shape.dim[0].dim_param and not kind.shape.dim[0].HasField("dim_value")
        assert tuple(d.dim_value for d in kind.shape.dim[1:]) == width
    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    assert not [n.name for n in graph.node if n.op_type in ("Clip", "Relu", "Identity", "Cast")]
    dequantized = {n.output[0]: n for n in graph.node if n.op_type == "DequantizeLinear"}
    layers = [n for n in graph.node if n.op_type in ("Conv", "Gemm", "MatMul")]
    assert layers
    for node in layers:
        weight = arrays[dequantized[node.input[1]].input[0]]
        assert weight.dtype == np.int8
        assert len(node.input) < 3 or arrays[dequantized[node.input[2]].input[0]].dtype == np.int32
    # ONNX Runtime's way round saturating kernels cannot load weights that share a zero point.
    shared = Counter(
        n.input[2] for n in dequantized.values() if n.input[0] in arrays and len(n.input) > 2
    )
    assert shared and set(shared.values()) == {1}
    # No float tensor but scales.
    scales = {n.input[1] for n in graph.node if n.op_type.endswith("quantizeLinear") or
              n.op_type == "QuantizeLinear"}  # fmt: skip
    scales |= {n.input[1] for n in dequantized.values()}
    assert {k for k, v in arrays.items() if v.dtype == np.float32} <= scales
    assert [p.key for p in model.metadata_props] == ["edgekd"]
    assert not any(n.metadata_props or n.doc_string for n in graph.node)
    assert not graph.value_info


@pytest.mark.parametrize(("name", "least"), [("resnet8", 9), ("dscnn", 9), ("mobile", 4)])
def test_onnxruntime_fuses_every_convolution_to_integers(name, least, folder, tmp_path):
    import onnxruntime

    path, _ = exported(name, "int8", "onnx", folder)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    kinds = Counter(n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds["QLinearConv"] >= least and kinds["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "Add", "Relu"} & kinds.keys()


@pytest.mark.parametrize("name", NAMES)
def test_tflite_int8_file_is_integers_throughout(name, folder):
    path, _ = exported(name, "int8", "tflite", folder)
    operators = tflite_operators(path)
    assert not {"QUANTIZE", "DEQUANTIZE"} & operators.keys()
    model = tflite_model(path)
    graph = model.subgraphs[0]
    # No float32 tensor at all (TensorType 0); int8 is 9.
    assert {t.type for t in graph.tensors} <= {2, 9, 4}
    assert graph.tensors[graph.inputs[0]].type == graph.tensors[graph.outputs[0]].type == 9


@pytest.mark.parametrize("precision", ["float32", "int8"])
@pytest.mark.parametrize("name", ["resnet8", "row"])
def test_tflite_file_is_named_and_described(name, precision, folder):
    path, _ = exported(name, precision, "tflite", folder)
    model = tflite_model(path)
    graph = model.subgraphs[0]
    source, target = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    assert (source.name, target.name) == (b"pixels", b"scores")
    image = name == "resnet8"
    assert tuple(source.shape) == ((1, 8, 8, 1) if image else (1, 64))
    assert tuple(target.shape) == (1, 10)
    first = graph.operators[0]
    assert graph.inputs[0] in first.inputs
    assert model.operatorCodes[first.opcodeIndex].builtinCode != 39, "a transpose at the input"
    description = model.description.decode()
    assert description.startswith("Reads digits.") and ("NHWC" in description) == image


@pytest.mark.parametrize("format", ["onnx", "tflite"])
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_no_trace_of_the_training_machine(format, precision, folder):
    path, _ = exported("resnet8", precision, format, folder)
    content = path.read_bytes()
    for trace in (b"/home/", b"/root/", b"/tmp/", b".py", b"site-packages", b"torch.nn", b"litert"):
        assert trace not in content, trace
    assert str(folder).encode() not in content


def test_tflite_constants_are_aligned(folder):
    """To 16 bytes, as schema.fbs says; read with struct alone, as a device does."""
    path, _ = exported("resnet8", "int8", "tflite", folder)
    content = path.read_bytes()
    assert content[4:8] == b"TFL3"

    def field(table: int, number: int) -> int | None:
        vtable = table - struct.unpack_from("<i", content, table)[0]
        if 4 + 2 * number >= struct.unpack_from("<H", content, vtable)[0]:
            return None
        offset = struct.unpack_from("<H", content, vtable + 4 + 2 * number)[0]
        return table + offset if offset else None

    def follow(position: int) -> int:
        return position + struct.unpack_from("<I", content, position)[0]

    root = follow(0)
    buffers = follow(field(root, 4))
    count, filled = struct.unpack_from("<I", content, buffers)[0], 0
    for index in range(count):
        data = field(follow(buffers + 4 + 4 * index), 0)
        if data is not None:
            start = follow(data)
            filled += struct.unpack_from("<I", content, start)[0] > 0
            assert (start + 4) % 16 == 0
    assert filled > 10


def test_qat_network_exports_like_ptq(folder):
    _, prepared = networks("mobile", "qat")
    x = samples("mobile")
    wanted = convert(prepared, fold=True)(x).detach().numpy()
    for export, run, fold in ((export_onnx, run_onnx, True), (export_tflite, run_tflite, False)):
        path = folder / f"qat-{fold}"
        converted = convert(prepared, fold=fold)
        deployed = export(converted, spec_of("mobile"), path, precision="int8")
        got = run(path, x.numpy(), deployed)
        check(
            compare(wanted, got, quantization_step(wanted, deployed)), pair="qat", precision="int8"
        )


class Spectrum(nn.Module):
    def forward(self, x):
        return torch.fft.fft(x.flatten(1)).abs()[:, :10]


class Singular(nn.Module):
    def forward(self, x):
        return torch.linalg.svd(x[:, 0])[1]


@pytest.mark.parametrize(
    ("export", "net", "operator"),
    [
        (export_onnx, Singular, "svd"),
        (export_tflite, Singular, "svd"),
        (export_tflite, Spectrum, "fft"),
    ],
)
def test_operator_that_cannot_be_exported_is_named(export, net, operator, tmp_path, capfd):
    network = nn.Sequential(nn.Identity(), net())
    with pytest.raises(StageError) as caught:
        export(network, spec_of("resnet8"), tmp_path / "file", precision="float32")
    assert operator in caught.value.what and "in layer 1" in caught.value.what
    assert not list(tmp_path.iterdir())


def test_exporting_is_silent(tmp_path, capfd):
    model, _ = networks("mobile")
    export_onnx(model, spec_of("mobile"), tmp_path / "a.onnx", precision="float32")
    export_tflite(model, spec_of("mobile"), tmp_path / "a.tflite", precision="float32")
    captured = capfd.readouterr()
    assert captured.out == "" and captured.err == ""


def test_deployed_spec_is_json_in_both_formats(folder):
    path, deployed = exported("row", "int8", "onnx", folder)
    (entry,) = onnx.load(path).metadata_props
    assert json.loads(entry.value) == deployed.model_dump(mode="json")
    path, deployed = exported("row", "int8", "tflite", folder)
    model = tflite_model(path)
    (entry,) = [m for m in model.metadata if m.name == b"edgekd"]
    assert json.loads(bytes(model.buffers[entry.buffer].data)) == deployed.model_dump(mode="json")
    assert deployed.layout == "NF" and deployed.precision == "int8"


def test_sums_that_saturate_16_bits_are_right(tmp_path):
    """Two products of 255 and 127 do not fit 16 bits, in which x86-64 without VNNI adds them."""
    network = nn.Sequential(nn.Conv2d(1, 16, 3, padding=1), nn.Flatten(), nn.Linear(1024, 10))
    with torch.no_grad():
        network[0].weight.fill_(1.0)
        network[0].bias.zero_()
        network[2].weight.copy_(torch.linspace(0.5, 1, 10)[:, None].expand(10, 1024))
    x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 4 - 0.8
    prepared = prepare_ptq(network.eval(), x[:2])
    calibrate(prepared, [x])
    torch_module = convert(prepared, fold=True)
    told = export_onnx(torch_module, spec_of("sums"), tmp_path / "sums.onnx", precision="int8")
    with torch.no_grad():
        expected = torch_module(x).numpy()
    answered = load(tmp_path / "sums.onnx").run(x.numpy())
    steps = np.abs(answered - expected) / told.output_quantization.scale
    assert steps.max() <= 1.001
