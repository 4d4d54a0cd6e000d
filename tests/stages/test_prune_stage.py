"""Pruning in steps, by gradients, and to what a file measures."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from three_bands import samples

import edgekd
from edgekd.config.data import Augment, NpzData
from edgekd.config.methods import LabelsSettings
from edgekd.config.networks import ModelSettings
from edgekd.config.pipeline import Pipeline
from edgekd.config.pruning import PruneSettings
from edgekd.data.dataset import load as load_data
from edgekd.models.build import build
from edgekd.models.count import macs, parameters
from edgekd.models.saved import load, save
from edgekd.plan import make_plan
from edgekd.progress import SILENT
from edgekd.propose.untrained import bytes_of
from edgekd.stages import data, prune
from edgekd.stages.base import Job, Made

STUDENT = ModelSettings(name="resnet8", width=0.5)
WIDE = ModelSettings(name="resnet8", width=2)
"""Its time is that of its convolutions: of the narrow one's few microseconds the most are the
runtime's own, and do not go with its channels."""
TRAIN = {"epochs": 1, "batch_size": 64, "precision": "float32"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with finished data and an untrained student."""
    root = tmp_path_factory.mktemp("prune")
    x, y = samples(120)
    np.savez(root / "mine.npz", x=x, y=y)
    (root / "data").mkdir()
    settings = data.DataStage(data=NpzData(path=Path("mine.npz")))
    data.run(Job(settings, {}, root / "data", "data", 0, root, SILENT))
    known = load_data(root / "data")
    torch.manual_seed(0)
    student = build(STUDENT, known.spec, known.classes)
    save(student, STUDENT, known.model_spec("student"), root / "student")
    return root


def run(root: Path, out: Path, file: dict[str, str] | None = None, **settings: Any) -> Made:
    out.mkdir(exist_ok=True)
    stage = prune.PruneStage(
        prune=PruneSettings.model_validate({"train": TRAIN, **settings}),
        method=LabelsSettings(),
        augment=Augment(),
        **(file or {}),
    )
    inputs = {"data": root / "data", "student": root / "student"}
    return prune.run(Job(stage, inputs, out, "prune", 0, root, SILENT))


GRADUAL = {"keep": 0.7, "importance": "taylor", "steps": 3, "step_epochs": 1}


def test_gradual_pruning_goes_on_where_it_was_killed(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made = run(root, tmp_path / "whole", **GRADUAL)
    whole = load(tmp_path / "whole").model
    known = load_data(root / "data")
    student = load(root / "student").model
    assert 0.5 < macs(whole, known.spec) / macs(student, known.spec) <= 0.7
    assert "% of the MACs" in made.note
    assert not (tmp_path / "whole" / prune.STEPS).exists()

    trainings: list[int] = []
    train = prune.train_network

    def dies(job: Any, model: Any, *rest: Any, **more: Any) -> None:
        trainings.append(parameters(model))
        if len(trainings) == 2:
            raise KeyboardInterrupt
        train(job, model, *rest, **more)

    monkeypatch.setattr(prune, "train_network", dies)
    with pytest.raises(KeyboardInterrupt):
        run(root, tmp_path / "cut", **GRADUAL)
    assert (tmp_path / "cut" / prune.STEPS / "1" / "model.safetensors").is_file()
    run(root, tmp_path / "cut", **GRADUAL)
    assert len(trainings) == 4, "the first step is not trained again"
    assert trainings[0] > trainings[1] == trainings[2] >= trainings[3]
    for name, tensor in load(tmp_path / "cut").model.state_dict().items():
        assert torch.equal(tensor, whole.state_dict()[name]), name
    shutil.rmtree(tmp_path / "cut")


def test_only_a_measured_target_hangs_on_the_export(root: Path):
    def keys(**more: Any) -> tuple[str, Any]:
        raw = {"name": "a", "data": str(root / "mine.npz"), "prune": more, "quantize": "ptq"}
        nodes = {n.name: n for n in make_plan(Pipeline.model_validate(raw), root)}
        return nodes["prune"].key, nodes["prune"].settings

    key, settings = keys(target="bytes", limit="20 kB")
    assert (settings.format, settings.precision) == ("tflite", "int8")
    assert keys()[1].format is None
    assert len({key, keys()[0], keys(target="latency")[0], keys(importance="taylor")[0]}) == 4


@pytest.mark.slow
@pytest.mark.parametrize(("form", "precision"), [("tflite", "int8"), ("onnx", "float32")])
def test_the_file_has_the_bytes_that_were_asked(
    root: Path, tmp_path: Path, form: str, precision: str
):
    known = load_data(root / "data")
    before = bytes_of(load(root / "student").model, known, form, precision)  # type: ignore[arg-type]
    limit = 0.75 * before
    file = {"format": form, "precision": precision}
    run(root, tmp_path / "p", file, target="bytes", limit=limit)
    after = bytes_of(load(tmp_path / "p").model, known, form, precision)  # type: ignore[arg-type]
    assert 0.8 * limit < after <= 1.005 * limit


@pytest.mark.slow
def test_a_latency_is_measured_of_files(root: Path, tmp_path: Path):
    told: list[str] = []

    class Told(type(SILENT)):  # type: ignore[misc]
        def message(self, text: str) -> None:
            told.append(text)

    stage = prune.PruneStage(
        prune=PruneSettings.model_validate({"train": TRAIN, "target": "latency", "keep": 0.7}),
        method=LabelsSettings(),
        augment=Augment(),
        format="tflite",
        precision="int8",
    )
    known = load_data(root / "data")
    wide = build(WIDE, known.spec, known.classes)
    save(wide, WIDE, known.model_spec("student"), tmp_path / "wide")
    inputs = {"data": root / "data", "student": tmp_path / "wide"}
    (tmp_path / "p").mkdir()
    prune.run(Job(stage, inputs, tmp_path / "p", "prune", 0, root, Told()))
    times = [float(text.split()[-2]) for text in told if text.endswith("ms")]
    assert len(times) >= 2 and min(times) <= 0.7 * times[0] + 0.001  # they are told so finely
    assert macs(load(tmp_path / "p").model, known.spec) < macs(wide, known.spec)


@pytest.mark.slow
def test_distilled_pruned_gradually_by_gradients_quantized_and_exported_in_one_run(
    root: Path, tmp_path: Path
):
    raw = {
        "name": "whole",
        "data": str(root / "mine.npz"),
        "teacher": {"model": {"name": "resnet8"}, "train": TRAIN, "require": {"accuracy": 0}},
        "student": {"model": {"name": "resnet8", "width": 0.5}},
        "distill": {"method": ["kd", "fitnet"], "train": TRAIN},
        "prune": {
            "target": "bytes",
            "keep": 0.8,
            "importance": "taylor",
            "steps": 2,
            "step_epochs": 1,
            "train": TRAIN,
        },
        "quantize": {"mode": "qat", "train": {"epochs": 1}},
        "export": {"formats": ["tflite"]},
        "quality": False,
        "bench": {"quick": True, "runtimes": ["litert"], "threads": [1]},
    }
    result = edgekd.run(raw, runs=tmp_path)
    folders = {stage.name: result.folder / stage.folder for stage in result.summary.stages}
    (file,) = folders["export"].glob("*int8.tflite")
    known = load_data(folders["data"])
    before = bytes_of(load(folders["distill"]).model, known, "tflite", "int8")
    assert file.stat().st_size <= 0.8 * before * 1.01
    network = load(folders["quantize"] / "float")
    assert network.pruned
    history = json.loads((folders["prune"] / "history.json").read_text())
    assert "fitnet" in str(history), "feature maps are compared while it recovers"
    assert min(row.agreement for row in result.summary.parity) > 0.9
