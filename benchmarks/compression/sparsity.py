"""Do zeros inside layers make a file faster? Six 1 x 1 convolutions of 256 channels, their weights
dense, sparse 2:4, in blocks and singly, in both runtimes, float32 and int8, on one thread.

    python -m benchmarks.compression.sparsity

The files take turns; a time is the median of a round's runs, counted in the thread's own processor
time, and a ratio that of the same round's dense file.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.common import Row, finish, options, started
from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import export_tflite
from edgekd.spec import InputSpec, ModelSpec

CHANNELS, LAYERS, SIDE = 256, 6, 32
SPEC = ModelSpec(
    name="sparse",
    input=InputSpec(kind="image", shape=(3, SIDE, SIDE), mean=(0.0,) * 3, std=(1.0,) * 3),
    labels=tuple("abcde"),
)
FORMATS = {"onnx": "ONNX Runtime", "tflite": "LiteRT"}


def main() -> None:
    """Measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--runs", type=int, default=100, help="of each file in a round")
    parser.add_argument("--quick", action="store_true", help="a smoke test: two patterns")
    chosen = parser.parse_args()
    start = started()
    patterns = {name: PATTERNS[name] for name in ("dense", "2:4")} if chosen.quick else PATTERNS
    rounds, runs = (1, 5) if chosen.quick else (chosen.rounds, chosen.runs)
    figures = measured(patterns, rounds, runs)
    finish(
        "Zeros inside layers",
        start,
        runs=f"{rounds} rounds of {runs} runs of each file",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
    )


def network() -> nn.Sequential:
    """Pointwise convolutions on 16 x 16 positions; the same weights each time."""
    torch.manual_seed(0)
    layers: list[nn.Module] = [nn.Conv2d(3, CHANNELS, 3, 2, 1), nn.ReLU()]
    for _ in range(LAYERS):
        layers += [nn.Conv2d(CHANNELS, CHANNELS, 1), nn.ReLU()]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(CHANNELS, 5))


def two_of_four(weight: Tensor) -> Tensor:
    """Of each four weights of a row the two largest."""
    fours = weight.reshape(-1, 4)
    return fours.scatter(1, fours.abs().argsort(1)[:, :2], 0.0).reshape(weight.shape)


def blocks(weight: Tensor) -> Tensor:
    """Of the blocks of four weights of a row the largest fifth."""
    fours = weight.reshape(-1, 4)
    size = fours.abs().sum(1)
    return (fours * (size > size.quantile(0.8))[:, None]).reshape(weight.shape)


def single(weight: Tensor) -> Tensor:
    """The largest tenth of the weights."""
    return weight * (weight.abs() > weight.abs().quantile(0.9))


PATTERNS: dict[str, Callable[[Tensor], Tensor]] = {
    "dense": lambda weight: weight,
    "2:4": two_of_four,
    "blocks of 1 x 4, 80 % zeros": blocks,
    "single weights, 90 % zeros": single,
}


def measured(
    patterns: dict[str, Callable[[Tensor], Tensor]], rounds: int, runs: int
) -> dict[str, Any]:
    """By file (pattern, precision, format): milliseconds of each round, and bytes."""
    with tempfile.TemporaryDirectory() as folder:
        files = {
            key: path
            for name, pattern in patterns.items()
            for key, path in written(name, pattern, Path(folder)).items()
        }
        calls = {key: call(path) for key, path in files.items()}
        found = {key: {"bytes": path.stat().st_size, "ms": []} for key, path in files.items()}
        for _ in range(rounds):
            for key, invoke in calls.items():
                found[key]["ms"].append(timed(invoke, runs))
    return found


def written(name: str, pattern: Callable[[Tensor], Tensor], folder: Path) -> dict[str, Path]:
    """The four files of a pattern."""
    model = network().eval()
    with torch.no_grad():
        for layer in model:
            if isinstance(layer, nn.Conv2d) and layer.kernel_size == (1, 1):
                layer.weight.copy_(pattern(layer.weight.flatten(1)).reshape(layer.weight.shape))
    x = torch.randn(64, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    prepared = prepare_ptq(model, x[:4])
    calibrate(prepared, [x])
    found = {}
    for form, export in (("onnx", export_onnx), ("tflite", export_tflite)):
        for precision in ("float32", "int8"):
            int8 = precision == "int8"
            module = convert(prepared, fold=form == "onnx") if int8 else model
            path = folder / f"{len(list(folder.iterdir()))}.{form}"
            export(module, SPEC, path, precision=precision)
            found[f"{name}, {precision}, {FORMATS[form]}"] = path
    return found


def call(path: Path) -> Callable[[], Any]:
    """Runs the file once, on one thread: the caller's."""
    if path.suffix == ".onnx":
        import onnxruntime

        settings = onnxruntime.SessionOptions()
        settings.intra_op_num_threads = 1
        session = onnxruntime.InferenceSession(str(path), settings, ["CPUExecutionProvider"])
        (wanted,) = session.get_inputs()
        dtype = np.int8 if "int8" in wanted.type else np.float32
        shape = [size if isinstance(size, int) else 1 for size in wanted.shape]
        feed = {wanted.name: np.zeros(shape, dtype)}
        return lambda: session.run(None, feed)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    return interpreter.invoke


def timed(invoke: Callable[[], Any], runs: int) -> float:
    """The median of a run, in milliseconds of the thread's processor time."""
    for _ in range(runs // 5):
        invoke()
    found = []
    for _ in range(runs):
        began = time.thread_time()
        invoke()
        found.append(time.thread_time() - began)
    return 1000 * float(np.median(found))


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table: each pattern against dense weights."""
    found = []
    for key, figure in figures.items():
        pattern, precision, runtime = key.rsplit(", ", 2)
        dense = figures[f"dense, {precision}, {runtime}"]
        ratio = np.median([a / b for a, b in zip(figure["ms"], dense["ms"], strict=True)])
        told = f"{np.median(figure['ms']):.2f} ms, {figure['bytes'] / 1000:.0f} kB"
        if pattern != "dense":
            told += f"; {ratio:.2f} of the dense file's time"
        found.append(Row(key, told))
    return found


if __name__ == "__main__":
    main()
