"""Each task from an .npz file to int8 files that answer as torch does, as a user runs it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from commands import edgekd, explained
from sklearn import datasets, metrics

from edgekd.agent.agent import machine_facts
from edgekd.data.dataset import load as load_data
from edgekd.results import ModelFigures, Summary
from edgekd.runtimes import load

PIPELINE = """
name: task
data: {{source: npz, path: data.npz}}
teacher: {{model: mlp, train: {{epochs: 15, batch_size: 64}}, require: {{score: 0.3}}}}
student: {{model: {{name: mlp, width: 0.25}}}}
distill: {{method: {{name: kd, temperature: 2}}, train: {{epochs: 15, learning_rate: 0.005}}}}
quantize: {{mode: qat, train: {{epochs: 3}}}}
export: {{formats: [{formats}]}}
bench: {{quick: true, min_runs: 5, threads: [1]}}
budget: {budget}
"""


def formats() -> str:
    """ONNX Runtime's int8 kernels are exact with VNNI or on Arm; elsewhere they saturate."""
    exact = {"avx512_vnni", "avx_vnni", "asimd", "asimddp"}
    return "tflite, onnx" if exact & set(machine_facts()["instructions"]) else "tflite"


def run(folder: Path, x: np.ndarray, y: np.ndarray, budget: str = "{}") -> Summary:
    np.savez(folder / "data.npz", x=x.astype(np.float32), y=y)
    text = PIPELINE.format(formats=formats(), budget=budget)
    (folder / "task.yaml").write_text(text)
    edgekd("run", "task.yaml", cwd=folder)
    page = (folder / "runs/task/report.html").read_text()
    assert 'id="metrics"' in page
    return Summary.model_validate_json((folder / "runs/task/summary.json").read_text())


def check(summary: Summary, folder: Path, score: Callable[..., float], metric: str) -> ModelFigures:
    """The int8 files' figures are what their outputs are worth; every runtime agrees."""
    data_folder = next(stage.folder for stage in summary.stages if stage.name == "data")
    data = load_data(folder / "runs/task" / data_folder)
    assert all(row.agreement == 1 for row in summary.parity)
    deployed = [m for m in summary.models if m.stage == "student" and m.precision == "int8"]
    files = [m for m in deployed if m.format in ("tflite", "onnx")]
    assert len(files) == len(formats().split(","))
    for model in files:
        runtime = load(folder / "runs/task" / model.path)
        spec = runtime.describe()
        assert spec is not None
        assert (spec.model.task, spec.model.labels) == (data.task, data.labels)
        assert spec.model.target_std == data.target_std
        outputs = runtime.run(data.spec.normalise(data.test.x))
        assert model.accuracy is not None and model.accuracy.metric == metric
        expected = score(spec.model, outputs, data.test.y)
        assert model.accuracy.value == pytest.approx(expected, abs=1e-5)
        assert model.accuracy.low <= model.accuracy.value <= model.accuracy.high
        own = next(m for m in model.metrics if (m.name, m.target) == (metric, ""))
        assert own.value == model.accuracy.value and own.runtime == runtime.name
    return files[0]


@pytest.mark.slow
def test_binary(tmp_path):
    cancer = datasets.load_breast_cancer()
    summary = run(tmp_path, cancer.data, cancer.target_names[cancer.target])
    file = check(
        summary, tmp_path, lambda _, out, y: metrics.accuracy_score(y, out.argmax(1)), "accuracy"
    )
    values = {row.name: row.value for row in file.metrics}
    assert set(values) == {"accuracy", "f1", "roc_auc", "average_precision"}
    assert values["roc_auc"] > 0.95


@pytest.mark.slow
def test_multilabel(tmp_path):
    x, y = datasets.make_multilabel_classification(
        n_samples=800, n_features=20, n_classes=4, n_labels=2, random_state=0
    )
    summary = run(tmp_path, x, y, "{accuracy: 50 %}")
    file = check(
        summary,
        tmp_path,
        lambda _, out, y: metrics.f1_score(y, out > 0, average="macro"),
        "macro_f1",
    )
    assert [(row.name, row.ok) for row in summary.budget] == [("macro F1", True)]
    page = (tmp_path / "runs/task/report.html").read_text()
    assert "Label by label" in page
    np.save(tmp_path / "some.npy", x[:20].astype(np.float32))
    answers = edgekd("predict", f"runs/task/{file.path}", "some.npy", cwd=tmp_path).stdout
    assert len(answers.splitlines()) == 20
    assert any(line.count("%") > 1 for line in answers.splitlines())


@pytest.mark.slow
def test_regression(tmp_path):
    diabetes = datasets.load_diabetes()
    summary = run(tmp_path, diabetes.data, diabetes.target, "{mae: 90, accuracy_drop: 0.5}")
    file = check(
        summary, tmp_path, lambda spec, out, y: metrics.r2_score(y, spec.raw_targets(out)), "r2"
    )
    values = {row.name: row for row in file.metrics}
    assert set(values) == {"r2", "mae", "rmse"}
    assert 30 < values["mae"].value < 70 and values["mae"].unit == "raw"
    assert {row.name: row.ok for row in summary.budget} == {"R² drop": True, "MAE": True}
    page = (tmp_path / "runs/task/report.html").read_text()
    assert "Predicted against true" in page and "scatter-student-0" in page
    np.savetxt(tmp_path / "three.csv", diabetes.data[:3], delimiter=",")
    answers = edgekd("predict", f"runs/task/{file.path}", "three.csv", cwd=tmp_path).stdout
    predicted = [float(line.rsplit(" ", 1)[1]) for line in answers.splitlines()]
    assert len(predicted) == 3 and all(0 < value < 400 for value in predicted)
    np.savez(tmp_path / "test.npz", x=diabetes.data.astype(np.float32), y=diabetes.target)
    told = edgekd(
        "bench", f"runs/task/{file.path}", "--data", "test.npz", "--quick", "--threads", "1",
        "--json", "-", cwd=tmp_path,
    ).stdout  # fmt: skip
    (row,) = json.loads(told)["rows"]
    assert row["accuracy"]["metric"] == "r2" and row["accuracy"]["n"] == 442
    smooth = ("--set", "distill.train.label_smoothing=0.1")
    done = edgekd("run", "task.yaml", *smooth, cwd=tmp_path, expect=2)
    explained(done, "label_smoothing", "a regression has none", "distill.train")
