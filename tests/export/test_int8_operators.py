"""The operators of users' networks in int8: what both runtimes really run, and that they agree.

Several operators share a network, so that few files are made. What ONNX Runtime leaves between
DequantizeLinear and QuantizeLinear has no int8 kernel there; docs/compression.md lists the same.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.export.onnx_file import export_onnx
from edgekd.export.parity import check, compare
from edgekd.export.tflite_file import export_tflite
from edgekd.runtimes import load
from edgekd.spec import InputSpec, ModelSpec

SPEC = ModelSpec(
    name="operators",
    input=InputSpec(kind="image", shape=(8, 8, 8), mean=(0.0,) * 8, std=(1.0,) * 8),
    labels=tuple("abcde"),
)
INTEGER = {"QLinearConv", "QGemm", "QLinearMatMul", "QLinearAdd", "QLinearMul", "QLinearSigmoid",
           "QLinearSoftmax", "QLinearLeakyRelu", "QLinearConcat", "QLinearAveragePool",
           "QLinearGlobalAveragePool"}  # fmt: skip
MOVING = {"QuantizeLinear", "DequantizeLinear", "Transpose", "Reshape", "Flatten", "Squeeze",
          "Unsqueeze", "Concat", "Slice", "Gather", "Pad", "MaxPool", "Split", "Shape", "Expand",
          "Identity"}  # fmt: skip


def tokens(x: Tensor) -> Tensor:
    return x.flatten(2).transpose(1, 2)


class Tokens(nn.Module):
    """What transformers are made of."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.wide = nn.Conv2d(8, 8, 3, padding=1), nn.Linear(8, 24)
        self.narrow, self.head = nn.Linear(24, 8), nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = tokens(self.conv(x))
        query, key, value = self.wide(x).chunk(3, -1)
        x = x + F.scaled_dot_product_attention(query, key, value)
        x = x + self.narrow(F.gelu(self.wide(x)))
        return self.head(x.mean(1))


class Activations(nn.Module):
    """Activation functions, one after another."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.prelu = nn.Conv2d(8, 8, 3, padding=1), nn.PReLU(8)
        self.head = nn.Linear(8, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv(x))
        x = self.prelu(x - 0.3) + F.elu(1.7 - x) / 1.9
        x = x + F.leaky_relu(x, 0.1) * torch.tanh(x)
        return self.head(F.adaptive_avg_pool2d(x * x.sigmoid(), 1).flatten(1))


class Moves(nn.Module):
    """Operators that only move, select or compare numbers, and those that resize."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(8, 8, 3, padding=1, groups=8), nn.Linear(16, 5)
        self.register_buffer("order", torch.arange(7, -1, -1))

    def forward(self, x: Tensor) -> Tensor:
        left, right = self.conv(x).split(4, 1)
        x = torch.cat([right, left], 1).index_select(1, self.order)
        x = torch.stack(x.unbind(1), 1)
        x = torch.maximum(x, F.max_pool2d(F.pad(x, (1, 1, 1, 1), value=-1.0), 3, 1))
        # Of 9 integers no mean lies halfway between two, where runtimes round differently.
        x = F.interpolate(F.avg_pool2d(x, 3, 1), scale_factor=2)
        x = torch.cat([x[:, :, 0], x.amax(3)], 1)
        return self.head(x.mean(2))


@dataclass(frozen=True)
class Made:
    """One network in int8, and what torch says to `x`."""

    folder: Path
    x: np.ndarray
    wanted: np.ndarray
    exact: np.ndarray
    left_float: tuple[str, ...]
    step: float


NETWORKS = {"tokens": Tokens, "activations": Activations, "moves": Moves}
NO_KERNEL = {
    "tokens": {"ReduceMean", "Gelu"},
    "activations": {"Sub", "Exp", "Tanh", "Relu"},
    "moves": {"ReduceMean", "ReduceMax", "Max", "Resize"},
}
"""What ONNX Runtime computes in float, since it has no int8 kernel."""


@pytest.fixture(scope="module", params=sorted(NETWORKS))
def made(request, tmp_path_factory) -> tuple[str, Made]:
    torch.manual_seed(0)
    model = NETWORKS[request.param]().eval()
    x = torch.randn(128, 8, 8, 8)
    prepared = prepare_ptq(model, x[:2])
    assert calibrate(prepared, [x]) == []
    folder = tmp_path_factory.mktemp("operators")
    folded = convert(prepared, fold=True)
    export_onnx(folded, SPEC, folder / "m.onnx", precision="int8")
    told = export_tflite(convert(prepared, fold=False), SPEC, folder / "m.tflite", precision="int8")
    assert told.output_quantization is not None
    with torch.no_grad():
        wanted, exact = folded(x).numpy(), model(x).numpy()
    made = Made(
        folder, x.numpy(), wanted, exact, prepared.left_float, told.output_quantization.scale
    )
    return request.param, made


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_the_runtimes_answer_as_torch(made, form):
    _, network = made
    got = load(network.folder / f"m.{form}").run(network.x)
    check(compare(network.wanted, got, network.step), pair=f"torch/{form}", precision="int8")


@pytest.mark.slow
def test_int8_stays_near_float(made):
    _, network = made
    noise = np.square(network.wanted - network.exact).mean()
    assert noise < 1e-3 * np.square(network.exact).mean()  # 30 dB


@pytest.mark.slow
def test_no_float_operator_is_left_in_tflite(made):
    from test_zoo_files import float_operators

    _, network = made
    assert network.left_float == ()
    assert float_operators(network.folder / "m.tflite") == {}


@pytest.mark.slow
def test_what_onnxruntime_has_no_int8_kernel_for_is_listed(made, tmp_path):
    import onnxruntime

    name, network = made
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimized.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        str(network.folder / "m.onnx"), options, providers=["CPUExecutionProvider"]
    )
    kinds = Counter(n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node)
    assert kinds.keys() - INTEGER - MOVING <= NO_KERNEL[name]
