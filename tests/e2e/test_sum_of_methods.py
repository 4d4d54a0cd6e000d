"""A student from logits and feature maps at once, pruned and quantized; killed, it goes on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from commands import command, edgekd, environment

pytestmark = pytest.mark.slow

PIPELINE = """
name: sum
data: digits
teacher: {model: resnet8, train: {epochs: 6}}
student: {model: {name: resnet8, width: 0.5}}
distill:
  method: [kd, {name: at, layers: "stages.*", weight: 100}, {name: fitnet, weight: 0.1}]
  train: {epochs: 8}
prune: {keep: 0.7, train: {epochs: 2}}
quantize: {mode: qat, train: {epochs: 2}}
export: {formats: [onnx]}
quality: false
bench: {quick: true, min_runs: 1, min_seconds: 0.1}
"""
RUN = ("run", "sum.yaml")


def weights(folder: Path) -> dict[str, bytes]:
    """The weights of the networks that were trained, by their path."""
    found = (folder / "runs/sum").glob("*/*.safetensors")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    (folder / "sum.yaml").write_text(PIPELINE)
    done = edgekd(*RUN, cwd=folder)
    assert "feature maps rest while it trains" in done.stdout + done.stderr
    return folder


def test_every_part_is_learnt_logged_and_drawn(whole):
    for stage, parts in (
        ("distill", {"ce", "kd", "at", "fitnet"}),
        ("prune", {"ce", "kd", "at", "fitnet"}),
        ("quantize", {"ce", "kd"}),
    ):
        (file,) = whole.glob(f"runs/sum/{stage}-*/history.json")
        epochs = json.loads(file.read_text())["epochs"]
        assert set(epochs[0]["parts"]) == parts
        if stage == "distill":
            for part in ("kd", "at", "fitnet"):
                assert epochs[-1]["parts"][part] < epochs[0]["parts"][part]
    page = (whole / "runs/sum/report.html").read_text()
    assert "loss, by part" in page
    assert ">fitnet<" in page


def test_nothing_of_the_methods_is_in_the_saved_student(whole):
    (file,) = whole.glob("runs/sum/distill-*/model.safetensors")
    assert b"regressors" not in file.read_bytes()
    (exported,) = whole.glob("runs/sum/export-[0-9a-f]*/student-int8.onnx")
    assert b"regressors" not in exported.read_bytes()


def test_killed_with_regressors_it_ends_at_the_same_bits(whole, tmp_path):
    (tmp_path / "sum.yaml").write_text(PIPELINE)
    with subprocess.Popen(
        command(*RUN, "--until", "prune"), cwd=tmp_path, env=environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    ) as process:  # fmt: skip
        deadline = time.monotonic() + 300
        while not list(tmp_path.glob("runs/sum/.work/distill-*/checkpoint/*.safetensors")):
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.02)
        os.kill(process.pid, signal.SIGKILL)
    edgekd(*RUN, "--until", "prune", cwd=tmp_path)
    found, expected = weights(tmp_path), weights(whole)
    assert any("prune-" in path for path in found)
    assert all(found[path] == expected[path] for path in found)


def test_a_wrong_layer_is_told_before_anything_is_trained(tmp_path):
    (tmp_path / "sum.yaml").write_text(PIPELINE.replace("stages.*", "stage.*"))
    done = edgekd(*RUN, cwd=tmp_path, expect=2)
    assert "no layer stage.*" in done.stderr
    assert "distill.method" in done.stderr
    assert not list(tmp_path.glob("runs/sum/teacher-*"))
