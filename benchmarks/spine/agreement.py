"""Parity on every sample that there is, where the pipeline's own check takes validation samples."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from edgekd import RunResult
from edgekd.compress import quantize
from edgekd.compress.reference import reference
from edgekd.data.digits import arrays
from edgekd.export.parity import Comparison, compare
from edgekd.models.saved import load as load_saved
from edgekd.runtimes import load as load_deployed
from edgekd.stages.quantize import FLOAT
from edgekd.train.evaluate import logits_of


def agreement(run: RunResult) -> dict[str, Any]:
    """The worst over all seeds and pairs of torch, ONNX Runtime and LiteRT, student in int8."""
    found = [c for seed in run.summary.seeds for c in comparisons(run, seed)]
    return {
        "agreement": min(c.agreement for c in found),
        "within_one_step": min(c.within_one_step for c in found),
        "max_steps": max(c.max_steps for c in found),
        "near_ties": max(c.near_ties for c in found),
        "samples": found[0].n,
        "comparisons": len(found),
    }


def comparisons(run: RunResult, seed: int) -> list[Comparison]:
    """Every pair of a seed, on all digits."""
    files = {
        m.format: run.folder / m.path
        for m in run.summary.models
        if (m.stage, m.precision, m.seed) == ("student", "int8", seed)
        and m.format in ("onnx", "tflite")
    }
    (trained,) = [
        (run.folder / m.path).parent
        for m in run.summary.models
        if (m.stage, m.precision, m.seed) == ("quantize", "int8", seed)
    ]
    deployed = load_deployed(files["tflite"])
    told = deployed.describe()
    assert told is not None and told.output_quantization is not None
    x = told.model.input.normalise(arrays()[0])
    outputs = [
        torch_logits(trained, x),
        load_deployed(files["onnx"]).run(x),
        deployed.run(x),
    ]
    step = told.output_quantization.scale
    return [compare(left, right, step) for left, right in combinations(outputs, 2)]


def torch_logits(folder: Path, x: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the quantized graph in torch says to normalised samples."""
    prepared = quantize.load(load_saved(folder / FLOAT).model, folder)
    integers = reference(quantize.convert(prepared, fold=True))
    return logits_of(integers, torch.from_numpy(x)).numpy()
