"""Every network of the zoo in int8: what stays in float, parity, accuracy, size, time, and peers.

    python -m benchmarks.quantization.zoo --data fsdd.zip --seeds 3
    python -m benchmarks.quantization.zoo --data fsdd.zip --networks resnet8 vit --seeds 1
    python -m benchmarks.quantization.zoo --data fsdd.zip --networks timm:mobilenetv3_small_050

Each network is trained once a seed, then quantized by edgekd (PTQ, QAT) and, from the same float
network and calibration samples, by its peers. All accuracies are of files in their runtimes, on
1,200 recordings. Times are of one thread on this machine. Each network has a result of its own,
written when it is finished; what is trained stays in the work folder, so that a run that was ended
goes on.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import (
    Row,
    differences,
    finish,
    interval,
    mean_percent,
    options,
    points,
    started,
)
from benchmarks.quantization import peers
from benchmarks.quantization.export_time import by_onnx2tf
from benchmarks.quantization.structure import onnx_left, tflite_operators
from benchmarks.quantization.trained import Quantized, measured, quantized
from benchmarks.spine.agreement import torch_logits
from edgekd.export.parity import compare
from edgekd.runtimes import load

NETWORKS = {
    "mlp": "mlp",
    "resnet8": "resnet8",
    "resnet20": "resnet20",
    "dscnn": "dscnn",
    "kws_dscnn": "kws_dscnn",
    "mobilenet_v1": "{name: mobilenet_v1, width: 0.25}",
    "mobilenet_v2": "{name: mobilenet_v2, width: 0.35}",
    "mobilenet_v3_small": "{name: mobilenet_v3_small, width: 0.5}",
    "efficientnet_lite0": "{name: efficientnet_lite0, width: 0.35}",
    "shufflenet_v2": "{name: shufflenet_v2, width: 0.5}",
    "vit": "vit",
}
"""Networks for a spectrogram of 32 x 40, as `teacher.model`."""
LIBRARY = "timm:"
"""Before the name of a network of timm, where timm is installed."""
WORSE = 0.003
"""Int8 QAT may lose so much to its float student, in the mean."""
FASTER = {"resnet8": 1.5, "mobilenet_v2": 1.5}
"""How many times as fast as float32 these are to be in int8, in LiteRT."""


def main() -> None:
    """Trains, quantizes, measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="fsdd.zip")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--networks", nargs="*", type=network, default=list(NETWORKS))
    parser.add_argument("--quick", action="store_true", help="a smoke test: an epoch of each")
    chosen = parser.parse_args()
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    seeds = 1 if chosen.quick else chosen.seeds
    for name in chosen.networks:
        start = started()
        figures = gathered([of_seed(chosen, name, seed) for seed in range(seeds)])
        finish(
            f"{name} in int8",
            start,
            runs=f"{seeds} seeds" if seeds > 1 else "1 seed",
            quick=chosen.quick,
            figures=figures,
            rows=rows(name, figures),
            results=chosen.results,
            name=f"zoo-{plain(name)}",
        )


def network(name: str) -> str:
    """A name of `NETWORKS` or of timm; any other is an error of argparse."""
    if name not in NETWORKS and not name.startswith(LIBRARY):
        raise argparse.ArgumentTypeError(f"take timm:NAME, or of {', '.join(NETWORKS)}")
    return name


def plain(name: str) -> str:
    """A network's name as a part of a file's name."""
    return name.replace(":", "-").replace("/", "-")


def of_seed(chosen: argparse.Namespace, name: str, seed: int) -> dict[str, Any]:
    """Everything about one network and seed."""
    print(f"{name}, seed {seed}:", file=sys.stderr)
    modes = {
        mode: quantized(
            chosen.data,
            NETWORKS.get(name, name),
            seed,
            f"quantize.mode={mode}",
            runs=chosen.work,
            quick=chosen.quick,
        )
        for mode in ("ptq", "qat")
    }
    work = chosen.work / "peers"
    work.mkdir(parents=True, exist_ok=True)
    figures: dict[str, Any] = {mode: of_edgekd(run) for mode, run in modes.items()}
    return figures | {"peers": of_peers(modes["ptq"], work / f"{plain(name)}-{seed}")}


def of_edgekd(run: Quantized) -> dict[str, Any]:
    """Structure, parity, accuracy, size and time of edgekd's own files."""
    tflite, onnx, x = run.file("tflite", "int8"), run.file("onnx", "int8"), run.test
    operators, floats = tflite_operators(tflite)
    pairs, onnx_floats = onnx_left(onnx)
    deployed = load(tflite)
    told = deployed.describe()
    assert told is not None and told.output_quantization is not None
    outputs = {
        "torch": torch_logits(run.stage("quantize"), x),
        "onnxruntime": load(onnx).run(x),
        "litert": deployed.run(x),
    }
    step = told.output_quantization.scale
    pairs_of = [compare(a, b, step) for a, b in combinations(outputs.values(), 2)]
    floating = load(run.file("tflite", "float32")).run(x)
    (parameters,) = {
        m.parameters
        for m in run.result.summary.models
        if (m.stage, m.format, m.precision) == ("student", "tflite", "int8")
    }
    return {
        "float": run.accuracy_of(floating),
        **{name: run.accuracy_of(logits) for name, logits in outputs.items()},
        "tflite_float_operators": dict(floats),
        "onnx_qdq_left": pairs,
        "onnx_float_operators": dict(onnx_floats),
        "agreement": min(c.agreement for c in pairs_of),
        "near_ties": max(c.near_ties for c in pairs_of),
        "within_one_step": min(c.within_one_step for c in pairs_of),
        "parameters": parameters,
        "operators": operators,
        "tflite_bytes": tflite.stat().st_size,
        "onnx_bytes": onnx.stat().st_size,
        "p50_us": {
            runtime: {p: measured(run, p, runtime) for p in ("int8", "float32")}
            for runtime in ("litert", "onnxruntime")
        },
    }


def of_peers(run: Quantized, stem: Path) -> dict[str, Any]:
    """Accuracy of the peers' files; what a tool says where it makes none."""
    x, calibration = run.test, run.calibration
    made = {
        "ai-edge-quantizer": lambda: peers.tflite_logits(
            peers.ai_edge_quantizer(
                run.file("tflite", "float32"), calibration, stem.with_suffix(".tflite")
            ),
            x,
        ),
        "onnxruntime": lambda: peers.onnx_logits(
            peers.onnxruntime_static(
                run.file("onnx", "float32"), calibration, stem.with_suffix(".onnx")
            ),
            x,
        ),
    }
    made["onnx2tf"] = lambda: peers.tflite_logits(
        by_onnx2tf(
            run.stage("teacher"), calibration, stem.with_name(f"{stem.name}-onnx2tf.tflite")
        ),
        x,
    )
    found: dict[str, Any] = {}
    for name, answer in made.items():
        try:
            found[name] = run.accuracy_of(answer())
        except Exception as error:  # whatever another tool raises is its result
            found[name] = None
            found[f"{name} says"] = f"{type(error).__name__}: {str(error).splitlines()[0]}"[:200]
    return found


def gathered(seeds: list[dict[str, Any]]) -> dict[str, Any]:
    """Means over seeds, and the worst of what must hold always."""
    qat, ptq = [s["qat"] for s in seeds], [s["ptq"] for s in seeds]
    both = [*qat, *ptq]
    figures: dict[str, Any] = {
        "float": interval([f["float"] for f in ptq]),
        "ptq": interval([f["litert"] for f in ptq]),
        "qat": interval([f["litert"] for f in qat]),
        "qat_minus_float": interval(
            differences([f["litert"] for f in qat], [f["float"] for f in qat])
        ),
        "agreement": min(f["agreement"] for f in both),
        "near_ties": max(f["near_ties"] for f in both),
        "within_one_step": min(f["within_one_step"] for f in both),
    }
    peers_of: dict[str, Any] = {}
    for name in (key for key in seeds[0]["peers"] if not key.endswith(" says")):
        values = [s["peers"].get(name) for s in seeds]
        if all(value is not None for value in values):
            peers_of[name] = interval(values)
    figures["peers"] = peers_of
    if peers_of:
        best = max(peers_of, key=lambda name: peers_of[name]["mean"])
        values = peers_of[best]["values"]
        figures["best_peer"] = best
        for mode in ("ptq", "qat"):
            figures[f"{mode}_minus_best_peer"] = interval(
                differences(figures[mode]["values"], values)
            )
    return figures | {"seeds": seeds}


def rows(name: str, figures: dict[str, Any]) -> list[Row]:
    """The lines of one network."""
    first = figures["seeds"][0]["qat"]
    tflite, onnx = first["tflite_float_operators"], first["onnx_float_operators"]
    limit = 1.15 * first["parameters"] + 2000 + 300 * first["operators"]
    sizes = first["tflite_bytes"], first["onnx_bytes"]
    times = first["p50_us"]["litert"]
    faster, wanted = times["float32"] / times["int8"], FASTER.get(name)
    loss = figures["qat_minus_float"]
    accuracy = ", ".join(
        f"{title} {mean_percent(figures[key])}"
        for key, title in (("float", "float"), ("ptq", "PTQ"), ("qat", "QAT"))
    )
    told = [
        Row(
            f"{name}: float operators in TFLite; Q/DQ left in ONNX Runtime",
            f"{_listed(tflite)}; {first['onnx_qdq_left']} ({_listed(onnx)})",
            "0; 0 or listed",
            not tflite,
        ),
        Row(
            f"{name}: torch, ONNX Runtime, LiteRT on 1,200 samples",
            f"agreement {figures['agreement']:.2%} but for at most {figures['near_ties']} "
            f"near-ties; {figures['within_one_step']:.2%} of outputs within 1 step",
            "≥ 99.9 %; ≥ 99 %",
            figures["agreement"] >= 0.999 and figures["within_one_step"] >= 0.99,
        ),
        Row(f"{name}: accuracy in LiteRT", accuracy),
        Row(f"{name}: QAT - its float", points(loss), "≥ -0.3 points", loss["mean"] >= -WORSE),
        Row(
            f"{name}: size of .tflite; of .onnx by it",
            f"{sizes[0] / 1000:.1f} kB; {sizes[1] / sizes[0]:.2f}",
            f"≤ {limit / 1000:.1f} kB; ≤ 1.3",
            sizes[0] <= limit and sizes[1] <= 1.3 * sizes[0],
        ),
        Row(
            f"{name}: p50 in LiteRT, float32 / int8",
            f"{faster:.2f} ({times['int8']:.0f} us)",
            f"≥ {wanted}" if wanted else "",
            faster >= wanted if wanted else None,
        ),
    ]
    for mode in ("ptq", "qat"):
        gain = figures.get(f"{mode}_minus_best_peer")
        if gain is not None:
            told.append(
                Row(
                    f"{name}: {mode.upper()} - best peer's PTQ ({figures['best_peer']})",
                    points(gain),
                    "not below",
                    not_worse(gain),
                )
            )
    return told


def not_worse(gain: dict[str, Any]) -> bool:
    """Whether the interval reaches 0; of one seed, whether the difference does."""
    high = gain["high"] if np.isfinite(gain["high"]) else gain["mean"]
    return bool(high >= 0)


def _listed(found: dict[str, int]) -> str:
    return ", ".join(f"{n} {name}" for name, n in sorted(found.items())) or "none"


if __name__ == "__main__":
    main()
