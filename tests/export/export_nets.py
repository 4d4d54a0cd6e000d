"""Networks to export, quantized, and the runtimes called directly: nothing of edgekd.runtimes."""

from __future__ import annotations

import copy
import functools
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from edgekd.compress.quantize import calibrate, convert, prepare_ptq, prepare_qat
from edgekd.config.stages import ModelSettings
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import export_tflite
from edgekd.models.build import build
from edgekd.spec import DeployedSpec, InputSpec, ModelSpec


class Mobile(nn.Module):
    """A MobileNetV3 block: hard-swish, squeeze-excite, residual add, max-pools, concat."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm = nn.Conv2d(1, 8, 3, 1, 1, bias=False), nn.BatchNorm2d(8)
        self.depthwise = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.squeeze, self.excite = nn.Conv2d(8, 8, 1), nn.Conv2d(8, 8, 1)
        self.classifier = nn.Linear(16, 10)

    def forward(self, x):
        x = F.hardswish(self.norm(self.stem(x)))
        y = F.hardswish(self.depthwise(x))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1))))
        x = x + y * F.hardsigmoid(gate)
        x = torch.cat([F.max_pool2d(x, 3, 2, 1), F.max_pool2d(x, 2)], 1)
        return self.classifier(x.mean((2, 3)))


@functools.cache
def digits() -> tuple[np.ndarray, np.ndarray]:
    """The digits, normalised (1797, 1, 8, 8), and their labels."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = bunch.images[:, None].astype(np.float32)
    return (x - x.mean()) / x.std(), bunch.target


def spec_of(name: str) -> ModelSpec:
    kind, shape = ("row", (64,)) if name == "row" else ("image", (1, 8, 8))
    source = InputSpec(name="pixels", kind=kind, shape=shape, mean=(4.9,), std=(6.0,))
    labels = tuple("0123456789")
    return ModelSpec(
        name=name, input=source, output="scores", labels=labels, description="Reads digits."
    )


def samples(name: str) -> torch.Tensor:
    """Digits and noise, in the shape that the network takes."""
    noise = np.random.default_rng(0).normal(size=(100, 1, 8, 8)).astype(np.float32)
    x = np.concatenate([digits()[0][1400:], noise])
    return torch.from_numpy(x.reshape(len(x), *spec_of(name).input.shape))


@functools.cache
def networks(name: str, mode: str = "ptq") -> tuple[nn.Module, nn.Module]:
    """A network trained for some seconds, and the same prepared and calibrated."""
    torch.manual_seed(0)
    spec = spec_of(name)
    if name == "mobile":
        model: nn.Module = Mobile()
    else:
        zoo = "mlp" if name == "row" else name
        model = build(ModelSettings.model_validate({"name": zoo, "width": 0.5}), spec.input, 10)
    x, y = (torch.from_numpy(part[:1400]) for part in digits())
    x = x.reshape(len(x), *spec.input.shape)
    optimizer = torch.optim.AdamW(model.train().parameters(), 3e-3)
    for _ in range(2):
        for index in torch.randperm(len(x)).split(64):
            optimizer.zero_grad()
            F.cross_entropy(model(x[index]), y[index]).backward()
            optimizer.step()
    prepared = {"qat": prepare_qat, "ptq": prepare_ptq}[mode](model.eval(), x[:2])
    calibrate(prepared, x[:512].split(128))
    return model, prepared


@functools.cache
def exported(name: str, precision: str, format: str, folder: Path) -> tuple[Path, DeployedSpec]:
    """One export of a network, made once per test session."""
    model, prepared = networks(name)
    path = folder / f"{name}-{precision}.{format}"
    onnx = format == "onnx"
    if precision == "int8":
        model = convert(prepared, fold=onnx)
    export = export_onnx if onnx else export_tflite
    return path, export(copy.deepcopy(model), spec_of(name), path, precision=precision)


@functools.cache
def reference(name: str, precision: str) -> np.ndarray:
    """Torch's logits of `samples`."""
    model, prepared = networks(name)
    module = model if precision == "float32" else convert(prepared, fold=True)
    with torch.no_grad():
        return module(samples(name)).numpy()


def quantized(x: np.ndarray, deployed: DeployedSpec) -> np.ndarray:
    parameters = deployed.input_quantization
    if parameters is None:
        return x
    integers = np.rint(x / np.float32(parameters.scale)) + parameters.zero_point
    return np.clip(integers, -128, 127).astype(np.int8)


def dequantized(y: np.ndarray, deployed: DeployedSpec) -> np.ndarray:
    parameters = deployed.output_quantization
    if parameters is None:
        return y
    return (y.astype(np.float32) - parameters.zero_point) * np.float32(parameters.scale)


def run_onnx(path: Path, x: np.ndarray, deployed: DeployedSpec) -> np.ndarray:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    # Exact kernels where the processor has no VNNI; see edgekd/agent/agent.py.
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (y,) = session.run(["scores"], {"pixels": quantized(x, deployed)})
    return dequantized(np.asarray(y), deployed)


def run_tflite(path: Path, x: np.ndarray, deployed: DeployedSpec) -> np.ndarray:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    run = interpreter.get_signature_runner()
    integers = quantized(x, deployed)
    if x.ndim == 4:
        integers = integers.transpose(0, 2, 3, 1)
    y = np.concatenate([run(pixels=sample[None])["scores"] for sample in integers])
    return dequantized(y, deployed)
