"""Public complaints about int8 export, each as a solved case; the name says whose thread it was."""

from __future__ import annotations

import functools
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from export_nets import digits, run_onnx, run_tflite, spec_of
from onnx import numpy_helper
from torch import nn
from torch.nn import functional as F

from edgekd.compress.quantize import calibrate, convert, freeze_observers, prepare_ptq, prepare_qat
from edgekd.export.onnx_file import export_onnx
from edgekd.export.parity import check, compare
from edgekd.export.tflite_file import export_tflite
from edgekd.spec import DeployedSpec, InputSpec, ModelSpec

RUN = {"onnx": run_onnx, "tflite": run_tflite}


def export(prepared, spec: ModelSpec, folder: Path, form: str) -> tuple[Path, DeployedSpec]:
    path = folder / f"model.{form}"
    write = export_onnx if form == "onnx" else export_tflite
    return path, write(convert(prepared, fold=form == "onnx"), spec, path, precision="int8")


def agrees(prepared, x: torch.Tensor, spec: ModelSpec, folder: Path, form: str) -> np.ndarray:
    """The file's answers, which must be torch's."""
    path, told = export(prepared, spec, folder, form)
    with torch.no_grad():
        wanted = convert(prepared, fold=True)(x).numpy()
    got = RUN[form](path, x.numpy(), told)
    assert told.output_quantization is not None
    check(compare(wanted, got, told.output_quantization.scale), pair=form, precision="int8")
    return got


def row(size: int, labels: int) -> ModelSpec:
    source = InputSpec(name="pixels", kind="row", shape=(size,), mean=(0.0,), std=(1.0,))
    names = tuple(f"class{number}" for number in range(labels))
    return ModelSpec(name="small", input=source, output="scores", labels=names)


def optimized(path: Path, folder: Path) -> onnx.GraphProto:
    """The graph that ONNX Runtime runs."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return onnx.load(folder / "optimized.onnx").graph


def test_litert_torch_752_basic_example_not_working(tmp_path):
    """A linear layer: `uniform_dequantize` got a tensor<10x5xi8> without its scales."""
    torch.manual_seed(0)
    model, x = nn.Sequential(nn.Linear(5, 10), nn.ReLU(), nn.Linear(10, 3)), torch.randn(64, 5)
    prepared = prepare_ptq(model.eval(), x[:2])
    calibrate(prepared, [x])
    agrees(prepared, x, row(5, 3), tmp_path, "tflite")


class ConvNet(nn.Module):
    """The network of litert-torch 150."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.fc1 = nn.Conv2d(1, 12, 3), nn.Linear(12 * 3 * 3, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2, 2)
        return self.fc1(torch.flatten(x, 1))


def test_litert_torch_150_int8_tflite_conversion_crashes(tmp_path):
    """Convolution, max-pool, linear, int8 from input to output."""
    torch.manual_seed(0)
    x = torch.from_numpy(digits()[0][:128])
    prepared = prepare_ptq(ConvNet().eval(), x[:2])
    calibrate(prepared, [x])
    agrees(prepared, x, spec_of("small"), tmp_path, "tflite")


def learn(model: nn.Module, epochs: int, rate: float) -> None:
    x, y = (torch.from_numpy(part[:1400]) for part in digits())
    optimizer = torch.optim.AdamW(model.train().parameters(), rate)
    order = torch.Generator().manual_seed(0)
    for _ in range(epochs):
        for index in torch.randperm(len(x), generator=order).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()
    model.eval()


def score(answers: np.ndarray) -> float:
    return float((answers.argmax(1) == digits()[1][1400:]).mean())


class Normalised(nn.Module):
    """Convolutions with batch norm, as what the thread trained."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(1, 16, 3, 1, 1, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            nn.Conv2d(16, 16, 3, 1, 1, groups=16, bias=False),
            nn.BatchNorm2d(16),
            nn.ReLU6(),
            nn.Conv2d(16, 32, 1, bias=False),
            nn.BatchNorm2d(32),
            nn.ReLU6(),
            nn.MaxPool2d(3, 2, 1),
            nn.Flatten(),
            nn.Linear(512, 10),
        )

    def forward(self, x):
        return self.layers(x)


@functools.cache
def trained() -> nn.Module:
    torch.manual_seed(0)
    model = Normalised()
    learn(model, 4, 3e-3)
    return model


def test_litert_torch_588_qat_model_is_not_performing_as_expected(tmp_path):
    """A network trained through fake quantizers answers in the file as well as in float."""
    model, x = trained(), torch.from_numpy(digits()[0])
    with torch.no_grad():
        float_score = score(model(x[1400:]).numpy())
    prepared = prepare_qat(model, x[:2])
    calibrate(prepared, x[:512].split(128))
    learn(prepared, 1, 1e-4)
    freeze_observers(prepared)
    got = agrees(prepared, x[1400:], spec_of("qat"), tmp_path, "tflite")
    assert float_score > 0.85  # it has learnt something that can be lost
    assert score(got) >= float_score - 0.005


def test_onnx2tf_444_catastrophic_accuracy_degradation(tmp_path):
    """Depthwise channels of very different sizes, and a max-pool that is padded.

    One scale for all channels of a weight, or a padding of minus infinity in an activation's range,
    leaves nothing of the others.
    """
    model = Normalised()
    model.load_state_dict(trained().state_dict())
    sizes = torch.logspace(-2, 2, 16)
    with torch.no_grad():  # the same function: the batch norm divides by what the weight gains
        model.layers[3].weight.mul_(sizes[:, None, None, None])
        model.layers[4].running_mean.mul_(sizes)
        model.layers[4].running_var.add_(1e-5).mul_(sizes**2).sub_(1e-5)
    model.eval()
    x = torch.from_numpy(digits()[0])
    with torch.no_grad():
        exact, before = model(x[1400:]).numpy(), trained()(x[1400:]).numpy()
    np.testing.assert_allclose(exact, before, atol=1e-3)
    prepared = prepare_ptq(model, x[:2])
    calibrate(prepared, x[:512].split(128))
    got = agrees(prepared, x[1400:], spec_of("sizes"), tmp_path, "tflite")
    assert score(got) >= score(exact) - 0.01
    assert np.square(got - exact).mean() < 0.01 * np.square(exact).mean()


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory) -> Path:
    x = torch.from_numpy(digits()[0])
    prepared = prepare_ptq(trained(), x[:2])
    calibrate(prepared, x[:512].split(128))
    folder = tmp_path_factory.mktemp("onnx")
    return export(prepared, spec_of("normalised"), folder, "onnx")[0]


def test_onnxruntime_20052_int8_runs_slower_since_layers_stay_float(onnx_file, tmp_path):
    """Every convolution and linear layer is an integer kernel; only the ends convert."""
    kinds = Counter(node.op_type for node in optimized(onnx_file, tmp_path).node)
    assert kinds["QLinearConv"] == 3 and kinds["QGemm"] == 1
    assert not {"Conv", "FusedConv", "Gemm", "FusedGemm", "Clip", "Relu"} & kinds.keys()
    assert kinds["QuantizeLinear"] <= 2 and kinds["DequantizeLinear"] <= 2  # int8 <-> uint8


def test_onnxruntime_6732_int8_is_very_slow_since_activations_are_int8(onnx_file):
    """On x86-64 the fast kernels take uint8 activations and int8 weights."""
    graph = onnx.load(onnx_file).graph
    arrays = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    ends = {graph.input[0].name, graph.output[0].name}
    for node in graph.node:
        if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
            continue
        if ends & {*node.input, *node.output} or node.input[0] in arrays:
            continue
        assert arrays[node.input[2]].dtype == np.uint8, node.name
    layers = [n for n in graph.node if n.op_type in ("Conv", "Gemm")]
    weights = {n.output[0]: arrays[n.input[0]] for n in graph.node if n.input[0] in arrays}
    assert {weights[n.input[1]].dtype for n in layers} == {np.dtype(np.int8)}
