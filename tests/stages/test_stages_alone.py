"""Each stage alone: its function, on artefacts of the stages before it, without a pipeline."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from three_bands import samples

from edgekd.config.base import Settings
from edgekd.config.data import Augment, NpzData
from edgekd.config.methods import KDSettings, LabelsSettings
from edgekd.config.pruning import PruneSettings
from edgekd.config.stages import (
    BenchSettings,
    ExportSettings,
    ModelSettings,
    QuantizeSettings,
    Require,
)
from edgekd.config.training import FinetuneTrain, QatTrain, TrainSettings
from edgekd.data.dataset import load as load_data
from edgekd.errors import StageError
from edgekd.models.saved import load as load_model
from edgekd.progress import SILENT
from edgekd.results import Accuracy
from edgekd.stages import (
    bench,
    data,
    distill,
    export,
    finetune,
    prune,
    quantize,
    softlabels,
    teacher,
)
from edgekd.stages.base import Job, Made
from edgekd.store import write_json
from edgekd.train.evaluate import predict_logits

STUDENT = ModelSettings(name="resnet8", width=0.5)
TRAIN = TrainSettings(epochs=6, batch_size=32, learning_rate=0.01, precision="float32")
AUGMENT = Augment(shift=1, views=2)


def job(folder: Path, settings: Settings, base: Path | None = None, **inputs: Path) -> Job[Any]:
    folder.mkdir(exist_ok=True)
    return Job(settings, inputs, folder, folder.name, 0, base or folder, SILENT)


def finish(made: Made, folder: Path) -> None:
    """What the pipeline writes, and the bench stage reads."""
    write_json(
        folder / "manifest.json", {"models": [m.model_dump(mode="json") for m in made.models]}
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[Path, Made]]:
    """Every stage after the other, each by its own function."""
    root = tmp_path_factory.mktemp("stages")
    x, y = samples(300)
    np.savez(root / "mine.npz", x=x, y=y)
    done: dict[str, tuple[Path, Made]] = {}

    def stage(name: str, module: Any, settings: Settings, **inputs: str) -> None:
        folders = {role: done[used][0] for role, used in inputs.items()}
        work = job(root / name, settings, root, **folders)
        done[name] = (work.out, module.run(work))
        finish(done[name][1], work.out)

    method = KDSettings()
    stage("data", data, data.DataStage(data=NpzData(path=Path("mine.npz"))))
    stage(
        "teacher", teacher,
        teacher.TeacherStage(
            model=ModelSettings(name="resnet8"), train=TRAIN, weights=None, augment=AUGMENT
        ),
        data="data",
    )  # fmt: skip
    stage(
        "softlabels", softlabels, softlabels.SoftLabelsStage(augment=AUGMENT),
        data="data", teacher="teacher",
    )  # fmt: skip
    stage(
        "distill", distill,
        distill.DistillStage(model=STUDENT, method=method, train=TRAIN, augment=AUGMENT),
        data="data", teacher="teacher", softlabels="softlabels",
    )  # fmt: skip
    stage(
        "finetune", finetune,
        finetune.FinetuneStage(
            method=LabelsSettings(), train=FinetuneTrain(epochs=1), augment=AUGMENT
        ),
        data="data", student="distill",
    )  # fmt: skip
    stage(
        "prune", prune,
        prune.PruneStage(
            prune=PruneSettings(target="parameters", keep=0.8, train=FinetuneTrain(epochs=2)),
            method=method, augment=AUGMENT,
        ),
        data="data", student="finetune", softlabels="softlabels",
    )  # fmt: skip
    for mode in ("qat", "ptq"):
        stage(
            mode, quantize,
            quantize.QuantizeStage(
                quantize=QuantizeSettings(mode=mode, train=QatTrain(epochs=2)),
                method=method, augment=AUGMENT,
            ),
            data="data", student="prune", softlabels="softlabels",
        )  # fmt: skip
    stage(
        "export", export,
        export.ExportStage(role="student", quantized=True, export=ExportSettings()),
        data="data", student="qat",
    )  # fmt: skip
    stage(
        "bench", bench,
        bench.BenchStage(
            bench=BenchSettings(quick=True, threads=(1,)), devices={}, machine={}
        ),
        data="data", student="export",
    )  # fmt: skip
    return done


pytestmark = pytest.mark.slow


def value(accuracy: Accuracy | None) -> float:
    assert accuracy is not None
    return accuracy.value


def test_data_normalises_by_the_training_split(run):
    dataset = load_data(run["data"][0])
    seen = dataset.spec.normalise(np.asarray(dataset.train.x))
    assert seen.mean() == pytest.approx(0, abs=1e-3)
    assert seen.std() == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("name", ["teacher", "distill", "finetune", "prune"])
def test_a_trained_network_is_saved_with_the_accuracy_that_is_told(run, name):
    folder, made = run[name]
    dataset = load_data(run["data"][0])
    (figures,) = made.models
    model = load_model(folder).model
    logits = predict_logits(model, dataset.validation, dataset.spec)
    right = (logits.argmax(1).numpy() == dataset.validation.y).mean()
    assert value(figures.validation) == pytest.approx(right)
    assert right > 0.8
    assert figures.parameters == sum(p.numel() for p in model.parameters())
    assert not (folder / "checkpoint").exists(), "the training's state is cleared away"
    assert (folder / "history.json").is_file()


def test_soft_labels_are_the_teachers(run):
    dataset = load_data(run["data"][0])
    cached = torch.from_numpy(np.load(run["softlabels"][0] / "logits.npy"))
    expected = predict_logits(load_model(run["teacher"][0]).model, dataset.train, dataset.spec)
    assert cached.shape == (2, len(dataset.train), 3)
    assert torch.allclose(cached[0].float(), expected, atol=0.02)


def test_pruning_made_it_smaller(run):
    before, after = run["finetune"][1].models[0], run["prune"][1].models[0]
    assert after.parameters <= 0.8 * before.parameters
    for layer in load_model(run["prune"][0]).model.modules():
        if isinstance(layer, torch.nn.Conv2d):
            assert layer.out_channels % 8 == 0


@pytest.mark.parametrize("mode", ["qat", "ptq"])
def test_int8_is_about_as_good_as_float(run, mode):
    as_float, as_int8 = run[mode][1].models
    assert (as_float.precision, as_int8.precision) == ("float32", "int8")
    assert value(as_int8.validation) > value(as_float.validation) - 0.1
    assert (run[mode][0] / as_float.path).is_file()
    assert (run[mode][0] / as_int8.path).is_file()


def test_ptq_changes_no_weight(run):
    before = load_model(run["prune"][0]).model.state_dict()
    after = load_model(run["ptq"][0] / "float").model.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_export_writes_four_files_that_agree(run):
    folder, made = run["export"]
    assert len(made.models) == 4
    assert len(made.parity) == 6
    assert all((folder / m.path).stat().st_size == m.bytes for m in made.models)
    assert all(row.agreement == 1 for row in made.parity)


def test_bench_measures_accuracy_in_each_runtime(run):
    rows = run["bench"][1].bench
    assert {(row.runtime, row.precision) for row in rows} == {
        (r, p) for r in ("onnxruntime", "litert") for p in ("float32", "int8")
    }
    dataset = load_data(run["data"][0])
    assert all(row.accuracy is not None and row.accuracy.n == len(dataset.test) for row in rows)


def test_a_student_alone_needs_no_soft_labels(run, tmp_path):
    settings = distill.DistillStage(
        model=STUDENT, method=LabelsSettings(), train=TRAIN, augment=AUGMENT
    )
    made = distill.run(
        job(tmp_path / "alone", settings, data=run["data"][0], teacher=run["teacher"][0])
    )
    assert value(made.models[0].validation) > 0.8


def test_a_pretrained_teacher_starts_from_its_weights(run, tmp_path):
    """Frozen backbone first, then all with a lower rate for it; or taken as it is."""
    weights = str(run["teacher"][0])
    model = ModelSettings(name="resnet8")
    as_it_is = teacher.TeacherStage(model=model, train=None, weights=weights, augment=AUGMENT)
    made = teacher.run(job(tmp_path / "given", as_it_is, data=run["data"][0]))
    assert value(made.models[0].accuracy) == value(run["teacher"][1].models[0].accuracy)
    tuned = TRAIN.model_copy(update={"epochs": 2, "freeze_epochs": 1, "backbone_rate": 0.1})
    settings = teacher.TeacherStage(model=model, train=tuned, weights=weights, augment=AUGMENT)
    made = teacher.run(job(tmp_path / "tuned", settings, data=run["data"][0]))
    assert value(made.models[0].validation) > 0.9


def test_the_gate_tells_how_far_it_is():
    poor = Accuracy(value=0.9, low=0.8, high=0.95, n=100, runtime="torch", split="validation")
    teacher.check_gate(Require(accuracy=0.9), poor, "teacher")
    with pytest.raises(StageError, match=r"90\.00% on validation, and the pipeline requires 95"):
        teacher.check_gate(Require(accuracy=0.95), poor, "teacher")
