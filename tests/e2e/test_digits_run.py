"""The whole pipeline on the digits, as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from commands import edgekd, environment, explained, quick
from PIL import Image

from edgekd.data.sources import load_source
from edgekd.pipeline import resolve
from edgekd.results import Summary

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the quick digits pipeline was run."""
    cwd = tmp_path_factory.mktemp("user")
    done = edgekd("run", "digits", *quick(), cwd=cwd)
    assert "report.html" in done.stdout
    return cwd


@pytest.fixture(scope="module")
def summary(folder: Path) -> Summary:
    """The run's figures."""
    return Summary.model_validate_json((folder / "runs/digits/summary.json").read_text())


def the_file(folder: Path, summary: Summary, stage: str, form: str, precision: str) -> Path:
    (path,) = [
        folder / "runs/digits" / m.path
        for m in summary.models
        if (m.stage, m.format, m.precision) == (stage, form, precision)
    ]
    return path


def test_every_stage_ran_once(summary):
    names = [stage.name for stage in summary.stages]
    assert names == [
        "data", "teacher", "softlabels", "check", "distill", "prune", "quantize",
        "compare", "export-teacher", "export", "quality", "bench",
    ]  # fmt: skip
    assert not any(stage.cached for stage in summary.stages)
    assert all(stage.seconds > 0 for stage in summary.stages)


def test_every_model_is_there_with_its_size_and_accuracy(folder, summary):
    for model in summary.models:
        assert (folder / "runs/digits" / model.path).stat().st_size == model.bytes
        assert model.accuracy is not None
        assert model.accuracy.n == 360
        assert model.accuracy.low <= model.accuracy.value <= model.accuracy.high
    files = {(m.stage, m.format, m.precision) for m in summary.models if m.format != "torch"}
    student = {("student", f, p) for f in ("onnx", "tflite") for p in ("float32", "int8")}
    assert files == student | {("teacher", "onnx", "float32"), ("teacher", "tflite", "float32")}


def test_the_student_is_small(summary):
    sizes = {(m.stage, m.format, m.precision): m.bytes for m in summary.models}
    assert sizes["student", "tflite", "int8"] < 25_000
    parameters = {m.stage: m.parameters for m in summary.models}
    assert parameters["student"] < parameters["teacher"] / 20


def test_runtimes_agree_on_every_sample(summary):
    pairs = {(row.stage, row.precision, row.pair) for row in summary.parity}
    for precision in ("float32", "int8"):
        for pair in ("torch/onnxruntime", "torch/litert", "onnxruntime/litert"):
            assert ("student", precision, pair) in pairs
    assert all(row.agreement == 1 for row in summary.parity)
    assert all(row.within_one_step >= 0.99 for row in summary.parity if row.precision == "int8")


def test_every_file_was_measured(summary):
    measured = {(row.stage, row.precision, row.runtime) for row in summary.bench}
    assert len(measured) == 6
    for row in summary.bench:
        times = row.latency_us
        assert 0 < times.p50 <= times.p90 <= times.p99
        assert times.n >= 50
        assert row.peak_rss_bytes > 0


def test_quality_of_the_three_deployed_files(summary):
    files = {(q.stage, q.precision): q for q in summary.quality}
    assert set(files) == {("teacher", "float32"), ("student", "float32"), ("student", "int8")}
    exported = {m.path: m.accuracy for m in summary.models}
    for figures in files.values():
        assert figures.runtime == "litert"
        assert figures.clean.value == exported[figures.model].value, "all 360 samples, clean"
        assert figures.calibration is not None and figures.calibration.n == 360
        assert 0 <= figures.calibration.ece.low <= figures.calibration.ece.high < 0.3
        assert sum(b.n for b in figures.calibration.bins) == 360
        assert len(figures.shifts) == 3 + 3 + 4 + 3
        assert {row.shift for row in figures.shifts} == {"noise", "blur", "brightness", "contrast"}
        assert figures.shifted.low < figures.shifted.value < figures.shifted.high < 1
        worst = min(row.score.value for row in figures.shifts)
        assert worst < figures.shifted.value < figures.clean.value
    assert files["teacher", "float32"].retention is None
    assert all(row.agreement > 0.8 for row in files["student", "int8"].shifts)
    assert all(row.agreement == 1 for row in files["student", "float32"].shifts)


def test_int8_accuracy_in_the_runtimes_is_that_of_torch(summary):
    by_kind = {(m.stage, m.format, m.precision): m.accuracy for m in summary.models}
    torch_accuracy = by_kind["quantize", "torch", "int8"].value
    for form in ("onnx", "tflite"):
        accuracy = by_kind["student", form, "int8"]
        assert accuracy.runtime in ("onnxruntime", "litert")
        assert abs(accuracy.value - torch_accuracy) <= 2 / 360


def test_the_summary_follows_its_published_schema(folder):
    published = json.loads(edgekd("schema", "result", cwd=folder).stdout)
    raw = json.loads((folder / "runs/digits/summary.json").read_text())
    assert set(raw) == set(published["properties"])
    for name, definition in (("models", "ModelFigures"), ("bench", "BenchFigures")):
        assert set(raw[name][0]) == set(published["$defs"][definition]["properties"])


def test_the_same_again_runs_nothing(folder):
    edgekd("run", "digits", *quick(), cwd=folder)
    again = Summary.model_validate_json((folder / "runs/digits/summary.json").read_text())
    assert all(stage.cached for stage in again.stages)


def test_another_budget_trains_nothing_and_is_told_with_exit_code_3(folder):
    done = edgekd("run", "digits", *quick("budget.size=1 kB"), cwd=folder, expect=3)
    explained(done, "size", "limit 1.0 kB")
    again = Summary.model_validate_json((folder / "runs/digits/summary.json").read_text())
    assert all(stage.cached for stage in again.stages)
    edgekd("run", "digits", *quick(), cwd=folder)


def test_another_gate_stops_the_run_and_keeps_the_teacher(folder):
    setting = quick("teacher.require.accuracy=99.99 %")
    done = edgekd("run", "digits", *setting, cwd=folder, expect=1)
    explained(done, "The teacher reaches", "99.99%", "teacher.train.epochs")
    assert "teacher ..." not in done.stdout


def test_predict_answers_about_pictures_and_arrays(folder, summary):
    pipeline, base = resolve("digits")
    data = load_source(pipeline.data, base)
    right = {"onnx": 0, "tflite": 0}
    for i in range(8):
        values = np.asarray(data.test.x[i, 0], np.float32) * 255 / 16
        Image.fromarray(values.round().astype(np.uint8)).save(folder / f"digit{i}.png")
    names = [f"digit{i}.png" for i in range(8)]
    for form in right:
        path = the_file(folder, summary, "student", form, "int8")
        lines = edgekd("predict", path, *names, cwd=folder).stdout.strip().splitlines()
        assert len(lines) == 8
        assert all(name in line for name, line in zip(names, lines, strict=True))
    np.save(folder / "batch.npy", np.asarray(data.test.x[:5]))
    path = the_file(folder, summary, "student", "tflite", "int8")
    assert len(edgekd("predict", path, "batch.npy", cwd=folder).stdout.splitlines()) == 5


def test_bench_measures_a_file_alone(folder, summary):
    path = the_file(folder, summary, "student", "onnx", "int8")
    raw = edgekd("bench", path, "--quick", "--threads", "1", "--json", "-", cwd=folder).stdout
    (row,) = json.loads(raw)["rows"]
    assert row["latency_us"]["p50"] > 0
    table = edgekd("bench", path, "--quick", "--threads", "1", cwd=folder).stdout
    assert "onnxruntime" in table.lower() or "ONNX Runtime" in table


def test_export_writes_the_files_of_a_stage(folder, summary):
    (stage,) = [s for s in summary.stages if s.name == "quantize"]
    done = edgekd("export", f"runs/digits/{stage.folder}", "-o", "out", cwd=folder)
    written = {Path(line).name for line in done.stdout.split()}
    assert written == {f"model-{p}.{f}" for p in ("float32", "int8") for f in ("onnx", "tflite")}
    ours = the_file(folder, summary, "student", "onnx", "int8").read_bytes()
    assert (folder / "out/model-int8.onnx").read_bytes() == ours


def test_report_is_written_again(folder):
    page = folder / "runs/digits/report.html"
    before = page.read_bytes()
    page.unlink()
    edgekd("report", "runs/digits", cwd=folder)
    assert len(page.read_bytes()) == pytest.approx(len(before), rel=0.05)


def test_from_makes_a_stage_and_what_follows_again(folder):
    edgekd("run", "digits", *quick(), "--from", "export", cwd=folder)
    again = Summary.model_validate_json((folder / "runs/digits/summary.json").read_text())
    assert [s.name for s in again.stages if not s.cached] == ["export", "quality", "bench"]


def test_plan_prints_the_graph(folder):
    lines = edgekd("run", "digits", *quick(), "--plan", cwd=folder).stdout.splitlines()
    assert [line.split()[0] for line in lines][-1] == "bench"
    assert all("finished" in line for line in lines)


def test_the_same_from_python(folder):
    program = (
        "import edgekd, yaml, json\n"
        "from edgekd.config.load import load_pipeline\n"
        f"settings = {quick()[1::2]!r}\n"
        "result = edgekd.run('digits', overrides=settings)\n"
        "assert result.budget_met and result.report.is_file()\n"
        "assert all(stage.cached for stage in result.summary.stages)\n"
        "print(result.model('tflite', 'int8'))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert (folder / done.stdout.strip()).is_file()


def test_nothing_of_training_or_of_this_machine_is_in_the_files(folder, summary):
    for model in summary.models:
        if model.format == "torch":
            continue
        content = (folder / "runs/digits" / model.path).read_bytes()
        for word in (b"site-packages", b"stack_trace", b"/edgekd/", str(folder).encode()):
            assert word not in content, f"{word!r} in {model.path}"


def test_bundles_end_a_run_and_the_wheel_answers_as_the_file_in_it(folder, summary, tmp_path):
    told = edgekd("run", "digits", *quick("package=true"), cwd=folder).stdout
    bundles = folder / "runs/digits/package-0.1.0"
    assert {path.name for path in bundles.iterdir()} == {"android", "apple", "linux", "web"}
    assert "bundle for linux" in told
    (wheel,) = (bundles / "linux").glob("*.whl")
    ZipFile(wheel).extractall(tmp_path / "site")
    pixels = np.random.default_rng(0).integers(0, 256, (21, 30)).astype(np.uint8)
    Image.fromarray(pixels).save(tmp_path / "picture.png")
    np.save(tmp_path / "picture.npy", pixels)
    bundled = subprocess.run(
        [sys.executable, "-m", "digits_classifier", "--check", str(tmp_path / "picture.npy")],
        env={**environment(), "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    path = the_file(folder, summary, "student", "tflite", "int8")
    asked = edgekd("predict", path, tmp_path / "picture.png", cwd=folder).stdout
    assert bundled[0] == "8 golden samples as exported"
    assert bundled[1].split(": ")[1] == asked.strip().split(": ")[1]
