"""A mean over the picture is an integer operator in ONNX Runtime, and the same number."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.export.onnx_file import export_onnx
from edgekd.runtimes import load
from edgekd.spec import InputSpec, ModelSpec

SPEC = ModelSpec(
    name="means",
    input=InputSpec(kind="image", shape=(3, 6, 5), mean=(0.0,) * 3, std=(1.0,) * 3),
    labels=tuple("abcd"),
)


class Means(nn.Module):
    """A convolution and a mean over height and width, told in one of three ways."""

    def __init__(self, way: str) -> None:
        super().__init__()
        self.way = way
        self.conv, self.gate, self.head = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 8, 1), nn.Linear(8, 4)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        if self.way == "kept":
            return self.head((x * self.gate(x.mean((2, 3), keepdim=True))).flatten(2).amax(2))
        if self.way == "from the end":
            return self.head(x.mean((-1, -2)))
        return self.head(x.mean((2, 3)))


@pytest.mark.parametrize("way", ["dropped", "from the end", "kept"])
def test_a_mean_over_the_picture_is_pooled_in_integers(way: str, tmp_path: Path):
    torch.manual_seed(0)
    model, x = Means(way).eval(), torch.randn(64, 3, 6, 5)
    prepared = prepare_ptq(model, x[:2])
    calibrate(prepared, [x])
    converted = convert(prepared, fold=True)
    told = export_onnx(converted, SPEC, tmp_path / "m.onnx", precision="int8")
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(
        str(tmp_path / "m.onnx"), options, providers=["CPUExecutionProvider"]
    )
    kinds = {node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node}
    assert "QLinearGlobalAveragePool" in kinds
    assert not kinds & {"ReduceMean", "GlobalAveragePool"}
    with torch.no_grad():
        wanted = converted(x).numpy()
    assert told.output_quantization is not None
    steps = np.abs(load(tmp_path / "m.onnx").run(x.numpy()) - wanted)
    assert steps.max() < 1.01 * told.output_quantization.scale
