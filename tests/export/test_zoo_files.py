"""Networks of the zoo on their whole way: pruned, trained for int8, exported, run in both runtimes.

One small configuration each, without most of the blocks that are like others: tracing a network and
writing its files takes as long as it is deep. Their BatchNorm statistics are settled before, since
LiteRT's XNNPACK refuses scales that only a network without any training has.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.compress.prune import prune
from edgekd.compress.quantize import calibrate, convert, prepare_qat
from edgekd.config.pruning import PruneSettings
from edgekd.config.stages import ModelSettings
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import export_tflite
from edgekd.models import (
    efficientnet_lite,
    mobilenet_v1,
    mobilenet_v2,
    mobilenet_v3,
    shufflenet_v2,
    vit,
)
from edgekd.models.build import build
from edgekd.models.count import macs
from edgekd.runtimes import load
from edgekd.spec import InputSpec, ModelSpec

SPEC = ModelSpec(
    name="zoo",
    input=InputSpec(kind="image", shape=(1, 8, 8), mean=(0.0,), std=(1.0,)),
    labels=tuple("abcde"),
)
FLOAT32 = 0  # TensorType
NETWORKS = [
    "kws_dscnn",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "shufflenet_v2",
    "efficientnet_lite0",
    "vit",
]
SHALLOW: dict[ModuleType, dict[str, Any]] = {
    vit: {"BLOCKS": 2},
    shufflenet_v2: {"UNITS": (2, 2, 2)},
    mobilenet_v1: {"BLOCKS": tuple(dict.fromkeys(mobilenet_v1.BLOCKS))},
    mobilenet_v2: {
        "STAGES": [(e, c, min(n, 1 + (c == 24)), s) for e, c, n, s in mobilenet_v2.STAGES]
    },
    mobilenet_v3: {"BLOCKS": tuple(dict.fromkeys(mobilenet_v3.BLOCKS))},
    efficientnet_lite: {
        "STAGES": [
            (e, k, c, min(n, 1 + (c in (24, 40))), s) for e, k, c, n, s in efficientnet_lite.STAGES
        ]
    },
}
"""Every kind of block is left in: each kernel, stride, expansion, activation, with a shortcut and
without. The whole networks are exported by `benchmarks.quantization.zoo`."""
LAYER_NORM = {
    "DEQUANTIZE",
    "QUANTIZE",
    "RESHAPE",
    "MEAN",
    "SUB",
    "SQUARED_DIFFERENCE",
    "ADD",
    "RSQRT",
    "MUL",
}
"""What is float in the TFLite file of `vit`, and nothing else."""


def samples(count: int = 256) -> tuple[torch.Tensor, torch.Tensor]:
    """Noise with a slope that tells the class."""
    generator = torch.Generator().manual_seed(0)
    y = torch.arange(count) % 5
    slope = torch.linspace(-1, 1, 8) * (y[:, None, None, None] - 2.0)
    return torch.randn(count, 1, 8, 8, generator=generator) + slope, y


def trained(name: str) -> nn.Module:
    """The network after some seconds of training, in evaluation mode."""
    torch.manual_seed(0)
    model = build(ModelSettings.model_validate({"name": name, "width": 0.25}), SPEC.input, 5)
    x, y = samples()
    optimizer = torch.optim.AdamW(model.train().parameters(), 2e-3)
    for _ in range(5):
        for index in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.3
    with torch.no_grad():
        for _ in range(10):
            model(x)
    return model.eval()


def float_operators(path: Path) -> Counter[str]:
    """Operators of a TFLite file that read or write float numbers."""
    from ai_edge_litert import schema_py_generated as schema

    names = {v: k for k, v in vars(schema.BuiltinOperator).items() if isinstance(v, int)}
    model = schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)
    graph = model.subgraphs[0]
    found: Counter[str] = Counter()
    for operator in graph.operators:
        code = model.operatorCodes[operator.opcodeIndex]
        tensors = [i for i in (*operator.inputs, *operator.outputs) if i >= 0]
        if any(graph.tensors[i].type == FLOAT32 for i in tensors):
            found[names[max(code.builtinCode, code.deprecatedBuiltinCode)]] += 1
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_pruned_and_int8_in_both_runtimes(name: str, tmp_path: Path, monkeypatch):
    for module, constants in SHALLOW.items():
        for constant, value in constants.items():
            monkeypatch.setattr(module, constant, value)
    model = trained(name)
    x, y = samples()
    pruned = prune(model, x[:2], PruneSettings(keep=0.8))
    assert macs(pruned, SPEC.input) <= 0.8 * macs(model, SPEC.input)
    prepared = prepare_qat(pruned, x[:2])
    assert any("layer_norm" in text for text in prepared.left_float) == (name == "vit")
    calibrate(prepared, x.split(64))
    F.cross_entropy(prepared.train()(x[:64]), y[:64]).backward()
    assert all(p.grad is None or bool(p.grad.isfinite().all()) for p in prepared.parameters())
    prepared.eval()
    with torch.no_grad():
        wanted = convert(prepared, fold=True)(x).numpy()
    for form, export in (("onnx", export_onnx), ("tflite", export_tflite)):
        path = tmp_path / f"model.{form}"
        told = export(convert(prepared, fold=form == "onnx"), SPEC, path, precision="int8")
        assert told.output_quantization is not None
        steps = np.abs(load(path).run(x.numpy()) - wanted) / told.output_quantization.scale
        assert (steps < 1.01).mean() > 0.99, form
    left = float_operators(tmp_path / "model.tflite")
    if name != "vit":
        assert left == {}
    else:
        assert left.keys() <= LAYER_NORM and left["RSQRT"] == 2 * vit.BLOCKS + 1
