"""Other forms of the exported files in one run: baked, ORT, with metadata; and the second route."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commands import edgekd, explained
from int8_files import read_summary

from edgekd.environments import EnvironmentMissing, environment

TINY = [
    "teacher.train.epochs=2",
    "teacher.require.accuracy=0",
    "distill.train.epochs=4",
    "quality=false",
    "budget={}",
    "quantize={mode: ptq, calibration_samples: 64}",
    "bench={quick: true, min_runs: 5, threads: [1]}",
]


@pytest.fixture(scope="module")
def environments():
    try:
        return [environment(name) for name in ("onnx2tf", "tflite-support")]
    except EnvironmentMissing as error:
        pytest.skip(str(error))


def _run(folder, *more):
    sets = [part for setting in (*TINY, *more) for part in ("--set", setting)]
    edgekd("run", "digits", *sets, cwd=folder)
    run = folder / "runs/digits"
    (files,) = [path for path in run.glob("export-*") if "teacher" not in path.name]
    return read_summary(run), files


@pytest.mark.slow
def test_baked_files_of_all_formats_with_metadata_and_golden_samples(tmp_path, environments):
    author = "export.metadata={author: A. Person, license: MIT}"
    summary, files = _run(
        tmp_path,
        "prune=null",
        "export.preprocess=baked",
        "export.formats=[onnx,ort,tflite]",
        author,
    )
    assert all(row.agreement == 1 for row in summary.parity)
    assert {row.pair for row in summary.parity} >= {"onnxruntime/onnxruntime (.ort)"}
    for precision in ("float32", "int8"):
        for form in ("onnx", "ort", "tflite"):
            path = files / f"student-{precision}.{form}"
            told = json.loads(path.with_name(f"{path.name}.json").read_text())
            assert told["author"] == "A. Person" and told["edgekd"]["preprocess"] == "baked"
            said = edgekd("check", path, cwd=tmp_path).stdout
            assert "8 samples as exported" in said
    scores = {row.model.rsplit("/", 1)[-1]: row.accuracy for row in summary.bench}
    of_student = [scores[f"student-float32.{form}"].value for form in ("onnx", "ort", "tflite")]
    assert len(set(of_student)) == 1, "the same answers to the test samples"
    golden = json.loads((files / "golden.json").read_text())
    entry = next(each for each in golden["files"] if each["file"] == "student-int8.tflite")
    assert entry["inputs"][0]["dtype"] == "uint8" and entry["inputs"][0]["shape"] == [8, 8, 8, 1]
    np.save(tmp_path / "eight.npy", np.zeros((1, 8, 8), np.float32))
    assert edgekd("predict", files / "student-int8.tflite", "eight.npy", cwd=tmp_path).stdout
    other = files / "student-int8.onnx"
    (teacher,) = tmp_path.glob("runs/digits/export-teacher-*/teacher-float32.onnx")
    other.write_bytes(teacher.read_bytes())
    done = edgekd("check", other, cwd=tmp_path, expect=1)
    explained(done, "student-int8.onnx does not give what it gave", "sample")


@pytest.mark.slow
def test_a_run_by_the_second_route(tmp_path, environments):
    summary, _ = _run(tmp_path, "prune=null", "export.route=onnx2tf", "export.precisions=[int8]")
    pairs = {(row.precision, row.pair): row for row in summary.parity if row.stage == "student"}
    anew = pairs["int8", "torch float32/litert"]
    assert anew.agreement > 0.9 and ("int8", "torch/onnxruntime") in pairs
    by_file = {row.model.rsplit("/", 1)[-1]: row.accuracy for row in summary.bench}
    lost = by_file["student-int8.onnx"].value - by_file["student-int8.tflite"].value
    assert lost < 0.03
