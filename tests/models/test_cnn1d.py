"""The 1-D CNN: its size by hand, its answers by torch's own 1-D layers, both runtimes in int8."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.build import build
from edgekd.models.cnn1d import CNN1D, POSITIONS, strides
from edgekd.models.count import macs, parameters
from edgekd.spec import InputSpec


def series(channels: int, length: int) -> InputSpec:
    return InputSpec(
        kind="series", shape=(channels, length), mean=(0,) * channels, std=(1,) * channels
    )


def test_parameters_and_macs_by_hand():
    model = build(ModelSettings(name="cnn1d"), series(3, 128), 4)
    weights = [3 * 9 * 32, 32 * 5 * 64, 64 * 5 * 64, 64 * 3 * 128]
    norms = 2 * (32 + 64 + 64 + 128)
    assert parameters(model) == sum(weights) + norms + 128 * 4 + 4
    positions = [64, 32, 16, 8]
    by_hand = sum(w * p for w, p in zip(weights, positions, strict=True)) + 128 * 4
    assert macs(model, series(3, 128)) == by_hand


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        (1, [1, 1, 1, 1]),
        (8, [1, 1, 1, 1]),
        (9, [2, 1, 1, 1]),
        (128, [2, 2, 2, 2]),
        (129, [4, 2, 2, 2]),
        (1000, [4, 4, 4, 2]),
        (2048, [4, 4, 4, 4]),
    ],
)
def test_strides(length, expected):
    assert strides(length) == expected


@pytest.mark.parametrize("length", [9, 50, 127, 300, 1000, 2048])
def test_few_positions_are_left(length):
    model, shapes = CNN1D(1, length, 3, 0.25).eval(), []
    model.layers.register_forward_hook(lambda _l, _i, output: shapes.append(output.shape))
    model(torch.zeros(1, 1, length))
    assert POSITIONS / 2 < shapes[0][3] <= POSITIONS


@pytest.mark.parametrize(("channels", "length", "width"), [(1, 1, 1), (3, 37, 0.3), (9, 200, 2)])
def test_answers_are_those_of_1d_layers(channels, length, width):
    torch.manual_seed(0)
    model = CNN1D(channels, length, 5, width).train()
    x = torch.randn(6, channels, length)
    F.cross_entropy(model(x), torch.tensor([0, 1, 2, 3, 4, 0])).backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    model.eval()
    expected = x
    for layer in model.layers:
        if isinstance(layer, nn.ReLU):
            expected = expected.relu()
            continue
        conv, norm = layer.conv, layer.bn
        expected = F.conv1d(
            expected, conv.weight[:, :, 0], stride=conv.stride[1], padding=conv.padding[1]
        )
        expected = F.batch_norm(
            expected, norm.running_mean, norm.running_var, norm.weight, norm.bias
        )
    expected = model.classifier(expected.mean(2))
    torch.testing.assert_close(model(x), expected)


def test_what_does_not_suit_is_refused():
    row = InputSpec(kind="row", shape=(5,), mean=(0,) * 5, std=(1,) * 5)
    image = InputSpec(kind="image", shape=(1, 8, 8), mean=(0,), std=(1,))
    for spec in (row, image):
        with pytest.raises(StageError, match=f"windows of a signal.*{spec.kind}"):
            build(ModelSettings(name="cnn1d"), spec, 3)
    with pytest.raises(StageError, match="windows of 2 channels") as caught:
        build(ModelSettings(name="dscnn"), series(2, 50), 3)
    assert "cnn1d" in str(caught.value)
    mlp = build(ModelSettings(name="mlp"), series(2, 50), 3)
    assert mlp(torch.zeros(4, 2, 50)).shape == (4, 3)


@pytest.mark.slow
@pytest.mark.parametrize(("channels", "length"), [(3, 128), (1, 37)])
def test_int8_files_answer_like_torch(channels, length, tmp_path):
    from edgekd.agent.agent import load
    from edgekd.compress import quantize
    from edgekd.compress.prune import prune
    from edgekd.config.pruning import PruneSettings
    from edgekd.export.onnx_file import export_onnx
    from edgekd.export.tflite_file import export_tflite
    from edgekd.spec import ModelSpec

    torch.manual_seed(0)
    spec = series(channels, length)
    whole = build(ModelSettings(name="cnn1d", width=0.5), spec, 4).eval()
    x = torch.randn(100, channels, length)
    model = prune(whole, x[:2], PruneSettings(keep=0.6))
    assert macs(model, spec) <= 0.6 * macs(whole, spec)
    prepared = quantize.prepare_qat(model, x[:4])
    quantize.calibrate(prepared, [x])
    optimizer = torch.optim.Adam(prepared.parameters(), 1e-3)
    for _ in range(3):
        F.cross_entropy(prepared.train()(x), torch.randint(0, 4, (100,))).backward()
        optimizer.step()
    prepared.eval()
    folded = quantize.convert(prepared, fold=True)
    unfolded = quantize.convert(prepared, fold=False)
    told = ModelSpec(name="t", input=spec, labels=tuple("abcd"))
    files = {
        "m.onnx": export_onnx(folded, told, tmp_path / "m.onnx", precision="int8"),
        "m.tflite": export_tflite(unfolded, told, tmp_path / "m.tflite", precision="int8"),
    }
    with torch.no_grad():
        expected = folded(x).numpy()
    for name, deployed in files.items():
        file = load(str(tmp_path / name))
        assert deployed.layout == "NCT"
        assert [np.dtype(dtype) for _, _, dtype in file.inputs] == [np.dtype("i1")]
        assert deployed.output_quantization is not None
        steps = np.abs(file.run(x.numpy()) - expected) / deployed.output_quantization.scale
        assert steps.max() <= 1.01, name
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(tmp_path / "m.tflite"))
    interpreter.allocate_tensors()
    kinds = {np.dtype(tensor["dtype"]).str for tensor in interpreter.get_tensor_details()}
    assert "<f4" not in kinds
