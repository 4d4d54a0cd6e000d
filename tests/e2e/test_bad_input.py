"""Every mistake that a user can make: one screen that says what, where and what to do."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from commands import command, edgekd, environment, explained

MINE = """\
name: mine
data: mine.npz
teacher: {model: mlp, train: {epochs: 2}}
student: {model: {name: mlp, width: 0.25}}
distill: {train: {epochs: 2}}
bench: quick
"""


def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def good_rows(n: int = 120) -> dict[str, np.ndarray]:
    y = np.arange(n) % 3
    return {"x": rng().normal(size=(n, 5)).astype(np.float32) + y[:, None], "y": y}


def project(folder: Path, text: str = MINE, **arrays: np.ndarray) -> Path:
    (folder / "p.yaml").write_text(text)
    np.savez(folder / "mine.npz", **(arrays or good_rows()))
    return folder


def fails(folder: Path, *parts: str, code: int = 1, options: tuple[str, ...] = ()) -> str:
    done = edgekd("run", "p.yaml", *options, cwd=folder, expect=code)
    return explained(done, *parts)


def test_a_missing_pipeline_file(tmp_path):
    explained(edgekd("run", "digit", cwd=tmp_path, expect=2), "digit", "did you mean digits?")


def test_missing_arguments(tmp_path):
    edgekd("run", cwd=tmp_path, expect=2)


def test_a_wrong_field_names_line_and_neighbour(tmp_path):
    project(tmp_path, MINE.replace("epochs: 2}}\nbench", "epoch: 2}}\nbench"))
    fails(tmp_path, "line 5", "distill.train.epoch", "did you mean epochs?", code=2)


def test_a_wrong_stage(tmp_path):
    project(tmp_path)
    fails(tmp_path, "no such stage", "teacher, softlabels", code=2, options=("--until", "prune"))


def test_a_missing_data_file(tmp_path):
    project(tmp_path)
    (tmp_path / "mine.npz").unlink()
    fails(tmp_path, "mine.npz")


def test_a_file_that_is_no_npz(tmp_path):
    project(tmp_path)
    (tmp_path / "mine.npz").write_text("not a zip")
    fails(tmp_path, "mine.npz", "fix:")


def test_labels_of_another_length(tmp_path):
    arrays = good_rows()
    project(tmp_path, x=arrays["x"], y=arrays["y"][:100])
    fails(tmp_path, "120", "100")


def test_labels_that_are_no_classes(tmp_path):
    arrays = good_rows()
    text = MINE.replace(
        "data: mine.npz", "data: {source: npz, path: mine.npz, task: classification}"
    )
    project(tmp_path, text, x=arrays["x"], y=arrays["y"] + 0.5)
    fails(tmp_path, "mine.npz", "y")


def test_values_that_are_no_numbers(tmp_path):
    arrays = good_rows()
    arrays["x"][17, 2] = np.nan
    project(tmp_path, **arrays)
    fails(tmp_path, "17")


def test_one_class_only(tmp_path):
    arrays = good_rows()
    project(tmp_path, x=arrays["x"], y=np.zeros(120, int))
    fails(tmp_path, "class")


def test_an_empty_class(tmp_path):
    text = MINE.replace(
        "data: mine.npz", "data: {source: npz, path: mine.npz, labels: [a, b, c, d]}"
    )
    project(tmp_path, text)
    fails(tmp_path, "d", "class")


def test_pickled_arrays_are_refused(tmp_path):
    arrays = good_rows()
    project(tmp_path, x=arrays["x"], y=np.array([{"a": 1}] * 120, dtype=object))
    fails(tmp_path, "y", "fix:")


def test_a_loss_that_is_not_finite(tmp_path):
    text = MINE.replace(
        "train: {epochs: 2}}\nstudent",
        "train: {epochs: 2, learning_rate: 1.0e+38, clip_norm: null, optimizer: sgd}}\nstudent",
    )
    project(tmp_path, text)
    fails(tmp_path, "The loss became", "epoch", "learning_rate")


def test_a_student_larger_than_the_teacher_is_warned_of(tmp_path):
    project(tmp_path, MINE.replace("width: 0.25", "width: 2"))
    done = edgekd("run", "p.yaml", "--until", "distill", cwd=tmp_path)
    assert "larger than the teacher" in done.stdout + done.stderr


@pytest.mark.slow
def test_a_network_that_cannot_be_exported_names_the_operator(tmp_path):
    (tmp_path / "odd.py").write_text(
        "import torch\n"
        "class Odd(torch.nn.Module):\n"
        "    def __init__(self, features, classes):\n"
        "        super().__init__()\n"
        "        self.classifier = torch.nn.Linear(features, classes)\n"
        "    def forward(self, x):\n"
        "        q, _ = torch.linalg.qr(x.unsqueeze(1) * x.unsqueeze(2))\n"
        "        return self.classifier(q.sum(1))\n"
        "def build(spec, classes):\n"
        "    return Odd(spec.shape[0], classes)\n"
    )
    text = MINE.replace("{name: mlp, width: 0.25}", '{python: "odd.py:build"}')
    project(tmp_path, text)
    fails(tmp_path, "qr")
    assert list(tmp_path.glob("runs/mine/distill-*")), "the trained student is kept"


@pytest.mark.parametrize(
    ("reference", "part"),
    [
        ("nowhere.py:build", "nowhere.py"),
        ("odd.py:other", "other"),
        ("no_such_module:f", "no_such"),
    ],
)
def test_a_factory_that_is_not_there(tmp_path, reference, part):
    (tmp_path / "odd.py").write_text("def build(spec, classes):\n    return 3\n")
    project(tmp_path, MINE.replace("{name: mlp, width: 0.25}", f'{{python: "{reference}"}}'))
    done = edgekd("run", "p.yaml", cwd=tmp_path, expect=1)
    explained(done, part)


def test_teacher_weights_that_are_a_pickle_are_refused(tmp_path):
    (tmp_path / "teacher.pt").write_bytes(b"\x80\x04anything")
    project(tmp_path, MINE.replace("model: mlp,", "model: mlp, weights: teacher.pt,"))
    fails(tmp_path, "teacher.pt", "safetensors")


def test_two_runs_in_one_folder(tmp_path):
    """The second waits for what the first makes, and takes it."""
    longer = "model: mlp, train: {epochs: 300}"
    project(tmp_path, MINE.replace("model: mlp, train: {epochs: 2}", longer))
    arguments = command("run", "p.yaml", "--until", "teacher")
    with subprocess.Popen(
        arguments, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, text=True
    ) as first:
        assert first.stdout is not None
        for line in first.stdout:
            if "epoch" in line:
                break
        done = edgekd("run", "p.yaml", "--until", "teacher", cwd=tmp_path)
        assert "teacher is being made by another edgekd; waiting for it" in done.stdout
        assert "teacher found finished" in done.stdout
        first.stdout.read()
    assert first.returncode == 0
    assert len(list((tmp_path / "runs/mine").glob("teacher-*"))) == 1


def test_a_full_disk(tmp_path):
    """On a real file system of 300 kB, mounted in a namespace of its own."""
    project(tmp_path, MINE.replace("model: mlp,", "model: {name: mlp, width: 4},"))
    (tmp_path / "small").mkdir()
    shell = 'mount -t tmpfs -o size=300k tmpfs small && exec "$@"'
    unshare = shutil.which("unshare")
    assert unshare, "util-linux's unshare is needed"
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    run = command("run", "p.yaml", "--runs", "small", "--until", "teacher")
    done = subprocess.run(
        [unshare, "--mount", *as_root, "sh", "-c", shell, "sh", *run],
        cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    explained(done, "The disk is full", "teacher", "--runs")


def test_a_folder_that_is_no_run(tmp_path):
    explained(edgekd("report", ".", cwd=tmp_path, expect=2), "runs/NAME")


def test_bench_of_a_file_that_is_no_model(tmp_path):
    (tmp_path / "broken.onnx").write_bytes(b"nothing")
    (tmp_path / "words.txt").write_text("nothing")
    explained(edgekd("bench", "broken.onnx", cwd=tmp_path, expect=1), "broken.onnx")
    explained(edgekd("bench", "words.txt", cwd=tmp_path, expect=2), "words.txt")
    edgekd("bench", "missing.tflite", cwd=tmp_path, expect=1)


def test_export_of_a_folder_that_holds_no_model(tmp_path):
    explained(edgekd("export", ".", cwd=tmp_path, expect=2), "no saved model")


def test_debug_shows_the_traceback(tmp_path):
    done = subprocess.run(
        command("run", "nothing", "--debug"), cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert "Traceback" in done.stderr
    assert "ConfigError" in done.stderr
