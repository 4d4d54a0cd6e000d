"""What the int8 files of a run say, asked here and not taken from its figures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.data.dataset import load as load_data
from edgekd.results import Summary
from edgekd.runtimes import load


def read_summary(folder: Path) -> Summary:
    return Summary.model_validate_json((folder / "summary.json").read_text())


def check_int8_files(folder: Path) -> tuple[dict[str, Path], float]:
    """Both int8 files of the student carry the data's spec, give the same answers to within a
    quantization step, and have the accuracy that is told.

    Returns:
        The files by their format, and the TFLite file's test accuracy.
    """
    summary = read_summary(folder)
    stages = {stage.name: stage.folder for stage in summary.stages}
    data = load_data(folder / str(stages["data"]))
    seen = data.spec.normalise(data.test.x)
    files, answers, share = {}, {}, {}
    for model in summary.models:
        if (model.stage, model.precision) != ("student", "int8") or model.format == "torch":
            continue
        files[model.format] = folder / str(model.path)
        runtime = load(files[model.format])
        deployed = runtime.describe()
        assert deployed is not None and deployed.output_quantization is not None
        assert deployed.model.input == data.spec
        outputs = runtime.run(seen)
        answers[model.format] = outputs / deployed.output_quantization.scale
        share[model.format] = float((outputs.argmax(1) == data.test.y).mean())
        assert model.accuracy is not None
        assert model.accuracy.value == pytest.approx(share[model.format], abs=1e-6)
    assert set(files) == {"onnx", "tflite"}
    assert np.abs(answers["onnx"] - answers["tflite"]).max() <= 1.01
    return files, share["tflite"]
