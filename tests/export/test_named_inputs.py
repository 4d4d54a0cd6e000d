"""A network with numbers and codes: pruned, quantized, saved, exported, run in both runtimes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from edgekd import inputs
from edgekd.agent.agent import AgentError, load, perform
from edgekd.compress import quantize
from edgekd.compress.prune import prune
from edgekd.config.pruning import PruneSettings
from edgekd.config.stages import ModelSettings
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import export_tflite
from edgekd.models.build import build
from edgekd.models.count import macs
from edgekd.spec import InputSpec, ModelSpec, NamedInputs

SPEC = NamedInputs(
    inputs=(
        InputSpec(name="numbers", kind="row", shape=(6,), mean=(0,) * 6, std=(1,) * 6),
        InputSpec(
            name="codes",
            kind="codes",
            shape=(3,),
            vocabulary=(tuple("abc"), tuple("defgh"), tuple("xy")),
        ),
    )
)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    torch.manual_seed(0)
    rng = np.random.default_rng(0)
    x = {
        "numbers": rng.normal(size=(200, 6)).astype("f4"),
        "codes": np.stack([rng.integers(0, n, 200) for n in (4, 6, 3)], 1).astype("i4"),
    }
    seen = inputs.tensors(x)
    whole = build(ModelSettings(name="tablemlp", width=0.5), SPEC, 3).eval()
    model = prune(whole, inputs.zeros(SPEC, 2), PruneSettings(keep=0.6))
    assert macs(model, SPEC) <= 0.6 * macs(whole, SPEC)
    prepared = quantize.prepare_qat(model, inputs.take(seen, slice(4)))
    quantize.calibrate(prepared, list(inputs.split(seen, 64)))
    optimizer = torch.optim.Adam(prepared.parameters(), 1e-3)
    for _ in range(5):
        answer = inputs.call(prepared.train(), seen)
        F.cross_entropy(answer, torch.from_numpy(rng.integers(0, 3, 200))).backward()
        optimizer.step()
    folder = tmp_path_factory.mktemp("named")
    quantize.save(prepared, folder)
    again = quantize.load(model, folder)
    assert torch.equal(inputs.call(prepared.eval(), seen), inputs.call(again, seen))
    spec = ModelSpec(name="t", input=SPEC, labels=("a", "b", "c"))
    folded = quantize.convert(prepared, fold=True)
    told = {
        "onnx": export_onnx(folded, spec, folder / "m.onnx", precision="int8"),
        "tflite": export_tflite(
            quantize.convert(prepared, fold=False), spec, folder / "m.tflite", precision="int8"
        ),
    }
    with torch.no_grad():
        return folder, x, inputs.call(folded, seen).numpy(), told


@pytest.mark.slow
@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_int8_files_answer_like_torch(made, form, tmp_path):
    folder, x, expected, told = made
    model = load(str(folder / f"m.{form}"))
    kinds = {name: np.dtype(dtype) for name, _, dtype in model.inputs}
    assert kinds == {"numbers": np.dtype("i1"), "codes": np.dtype("i4")}
    assert told[form].input_quantizations["codes"] is None
    steps = np.abs(model.run(x) - expected) / told[form].output_quantization.scale
    assert steps.max() <= 1.01
    with pytest.raises(AgentError, match="no samples for the input codes"):
        model.run({"numbers": x["numbers"]})
    with pytest.raises(AgentError, match="different numbers"):
        model.run({**x, "codes": x["codes"][:5]})
    for name, values in x.items():
        np.save(tmp_path / f"{name}.npy", values)
    np.save(tmp_path / "y.npy", expected.argmax(1))
    paths = {name: str(tmp_path / f"{name}.npy") for name in x}
    job = {"model": model.where, "inputs": paths, "labels": str(tmp_path / "y.npy")}
    result = perform({**job, "min_runs": 3, "min_seconds": 0, "warmup_seconds": 0})
    assert result["n"] == 200
    assert result["correct"] >= 195
