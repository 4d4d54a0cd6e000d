"""Networks of timm in int8, shortly trained: both files answer as torch's integers do.

The smallest transformer and the smallest EfficientNet that timm has for tests: layer norms and
attention, and SiLU with squeeze-excite, which multiply the smallest difference of arithmetic.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
import pytest
import torch
import vision
from export_nets import digits
from test_zoo_files import LAYER_NORM, float_operators
from torch.nn import functional as F

from edgekd.compress.quantize import calibrate, convert, prepare_ptq
from edgekd.compress.reference import reference
from edgekd.config.stages import ModelSettings
from edgekd.export.onnx_file import export_onnx
from edgekd.export.parity import check, compare
from edgekd.export.tflite_file import export_tflite
from edgekd.models.build import build
from edgekd.runtimes import load
from edgekd.spec import InputSpec, ModelSpec

IMAGE = InputSpec(kind="image", shape=(3, 32, 32), mean=(0.0,) * 3, std=(1.0,) * 3)
SPEC = ModelSpec(name="timm", input=IMAGE, labels=tuple("0123456789"))
VIT: dict[str, Any] = {"img_size": 32, "dynamic_img_size": False, "depth": 1}


def missing() -> str:
    """Why timm cannot be used here, or nothing."""
    vision.provide()
    try:
        importlib.import_module("timm")
    except Exception as error:
        return f"timm: {type(error).__name__}: {str(error).splitlines()[0]}"
    return ""


WHY = missing()


def pictures() -> tuple[torch.Tensor, torch.Tensor]:
    """The digits as pictures (1797, 3, 32, 32), and their labels."""
    x, y = (torch.from_numpy(part) for part in digits())
    return F.interpolate(x, size=32, mode="bilinear").expand(-1, 3, -1, -1), y


@pytest.mark.slow
@pytest.mark.skipif(bool(WHY), reason=WHY)
@pytest.mark.parametrize(
    ("name", "arguments", "floats"),
    [("test_vit", VIT, LAYER_NORM), ("test_efficientnet", {}, set())],
)
def test_int8_files_answer_as_torch(name, arguments, floats, tmp_path):
    torch.manual_seed(0)
    model = build(ModelSettings(name=f"timm:{name}", arguments=arguments), IMAGE, 10)
    x, y = pictures()
    optimizer = torch.optim.AdamW(model.train().parameters(), 2e-3)
    for index in torch.randperm(1400).split(32)[:40]:
        optimizer.zero_grad()
        F.cross_entropy(model(x[index]), y[index]).backward()
        optimizer.step()
    prepared = prepare_ptq(model.eval(), x[:2])
    assert [text.split()[2] for text in prepared.left_float] == (["layer_norm"] if floats else [])
    calibrate(prepared, x[:256].split(128))
    folded = convert(prepared, fold=True)
    files = {form: tmp_path / f"m.{form}" for form in ("onnx", "tflite")}
    told = export_onnx(folded, SPEC, files["onnx"], precision="int8")
    export_tflite(convert(prepared, fold=False), SPEC, files["tflite"], precision="int8")
    assert told.output_quantization is not None
    with torch.no_grad():
        wanted = reference(folded)(x[1400:]).numpy()
    for form, path in files.items():
        found = compare(wanted, load(path).run(x[1400:].numpy()), told.output_quantization.scale)
        check(found, pair=f"torch/{form}", precision="int8")
        if not floats:
            assert found.max_steps < 0.01, form  # integers throughout: the same to the bit
    assert float_operators(files["tflite"]).keys() <= floats
    assert (wanted.argmax(1) == np.asarray(y[1400:])).mean() > 0.5
