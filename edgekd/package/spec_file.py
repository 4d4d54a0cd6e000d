"""`spec.json` of a bundle: what its code has to know about the model, flat and whole."""

from __future__ import annotations

from typing import Any

import numpy as np

from edgekd.data import sound
from edgekd.package.deployable import DeployedFile
from edgekd.package.naming import Names, is_picture
from edgekd.spec import DeployedSpec, InputSpec, NamedInputs, Quantization, SoundSpec

FORMAT_VERSION = 1


def model_name(file: DeployedFile) -> str:
    """The model's file in a bundle."""
    return f"model.{file.format}"


def spec_of(file: DeployedFile, names: Names) -> dict[str, Any]:
    """The content; docs/package.md tells its fields."""
    told, model = file.told, file.told.model
    return {
        "format_version": FORMAT_VERSION,
        "class": names.class_name,
        "asks": names.asks,
        "model": model_name(file),
        "task": model.task,
        "labels": list(model.labels),
        "target_mean": list(model.target_mean),
        "target_std": list(model.target_std),
        "inputs": [_input(part, told) for part in model.input.inputs],
        "output": {
            "name": model.output,
            "dtype": "float32" if told.output_quantization is None else "int8",
            "quantization": _scale(told.output_quantization),
        },
    }


def _input(part: InputSpec, told: DeployedSpec) -> dict[str, Any]:
    scale = told.input_quantization
    if isinstance(told.model.input, NamedInputs):
        scale = (told.input_quantizations or {}).get(part.name)
    return {
        "name": part.name,
        "kind": part.kind,
        "shape": list(part.shape),
        "layout": told.layout,
        "dtype": part.dtype if scale is None else "int8",
        "quantization": _scale(scale),
        "mean": list(part.mean),
        "std": list(part.std),
        "peak": part.peak if is_picture(part) else None,
        "sound": None if part.sound is None else _sound(part.sound),
        "columns": list(part.columns),
        "vocabulary": [list(values) for values in part.vocabulary],
    }


def _scale(scale: Quantization | None) -> dict[str, Any] | None:
    return None if scale is None else scale.model_dump()


def _sound(spec: SoundSpec) -> dict[str, Any]:
    """The features' settings; the edges of the mel filters as numbers, because powers and
    logarithms of libraries differ in their last bit.
    """
    edges = np.linspace(sound.mel(spec.low_hz), sound.mel(spec.high_hz), spec.mels + 2)
    return {
        "rate": spec.rate,
        "samples": spec.samples,
        "window": spec.window,
        "hop": spec.hop,
        "fft": sound.fft_length(spec),
        "edges_hz": (700 * (10 ** (edges / 2595) - 1)).tolist(),
    }
