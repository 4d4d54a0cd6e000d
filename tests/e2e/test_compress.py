"""`edgekd compress` as a user runs it: a saved teacher and an .onnx file, and what goes wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import edgekd, explained

from edgekd.results import Summary

BUDGET = "70 kB, 20 ms, -40 %"
SMALL = (
    "--minutes", "60", "--epochs", "2", "--set", "quality=null", "--set", "bench.threads=[1]",
    "--set", "export.formats=[tflite]",
)  # fmt: skip
"""The work is bounded by what there is to do, never by the clock."""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a short run of a digits teacher, and its .onnx file in `files`."""
    folder = tmp_path_factory.mktemp("trained")
    edgekd(
        "run", "digits", "--until", "teacher", "--set", "teacher.train.epochs=6",
        "--set", "teacher.model.width=1", "--set", "teacher.require.accuracy=0", cwd=folder,
    )  # fmt: skip
    edgekd("export", teacher(folder), "-o", "files", "--format", "onnx", cwd=folder)
    return folder


def teacher(folder: Path) -> Path:
    (found,) = (folder / "runs" / "digits").glob("teacher-*")
    return found


def summary(folder: Path, name: str) -> Summary:
    return Summary.model_validate_json((folder / "runs" / name / "summary.json").read_text())


@pytest.mark.slow
def test_a_saved_teacher_becomes_a_small_file_and_an_ordinary_pipeline(trained):
    done = edgekd(
        "compress", teacher(trained), "--data", "digits", "--budget", BUDGET, *SMALL,
        "--candidates", "2", "--name", "small", cwd=trained, timeout=900,
    )  # fmt: skip
    assert "too many weights for the size: " in done.stdout
    assert done.stdout.count("data done in") == 1
    assert "next:   edgekd run runs/small/pipeline.yaml" in done.stdout
    made = summary(trained, "small")
    assert all(row.ok for row in made.budget)
    assert {row.name for row in made.budget} >= {"size", "accuracy drop"}
    (file,) = [
        m for m in made.models if (m.stage, m.format, m.precision) == ("student", "tflite", "int8")
    ]
    told = json.loads((trained / "runs/small/candidates.json").read_text())
    (winner,) = [row for row in told["candidates"] if row["candidate"] == told["winner"]]
    assert winner["fits"]
    measured = [row for row in told["candidates"] if "bytes" in row]
    assert len(measured) == 2 and measured[0]["family"] != measured[1]["family"]
    assert "copy" in {row["family"] for row in measured}
    assert [row["fits"] for row in measured] == [True, True]
    assert len(told["trials"]) == 2
    assert told["winner"] == max(told["trials"], key=lambda row: row["score"])["candidate"]
    # the file that was written untrained has the size of the trained one
    assert abs(winner["bytes"] - file.bytes) < 0.02 * file.bytes
    raw = yaml.safe_load((trained / "runs/small/pipeline.yaml").read_text())
    assert raw["budget"]["size"] == 70_000
    again = edgekd("run", "runs/small/pipeline.yaml", cwd=trained)
    assert "done in" not in again.stdout
    assert all(stage.cached for stage in summary(trained, "small").stages)


@pytest.mark.slow
def test_an_onnx_file_is_enough(trained):
    done = edgekd(
        "compress", "files/model-float32.onnx", "--data", "digits", "--budget", "30 kB",
        *SMALL, "--candidates", "2", "--name", "of-onnx", cwd=trained, timeout=900,
    )  # fmt: skip
    assert "copy" not in done.stdout
    made = summary(trained, "of-onnx")
    given = next(m for m in made.models if m.stage == "teacher")
    assert (given.format, given.accuracy and given.accuracy.runtime) == ("onnx", "onnxruntime")
    edgekd("report", "runs/of-onnx", cwd=trained)
    again = edgekd("run", "runs/of-onnx/pipeline.yaml", cwd=trained)
    assert "done in" not in again.stdout


@pytest.mark.slow
def test_a_budget_that_nobody_can_keep_is_refused_with_the_nearest_figures(trained):
    """Every family is looked at: nothing bounds the work, and nothing is mocked."""
    done = edgekd(
        "compress", teacher(trained), "--data", "digits", "--budget", "1 kB, 1 us", *SMALL,
        "--name", "none", cwd=trained, expect=3, timeout=900,
    )  # fmt: skip
    text = explained(done, "No candidate keeps", "nothing was trained", "the smallest file is",
                     "the fastest", "raise --budget to what these need at once")  # fmt: skip
    told = json.loads((trained / "runs/none/candidates.json").read_text())
    assert told["winner"] is None and told["trials"] == [] and told["not_measured"] == []
    assert not any(row["fits"] for row in told["candidates"])
    measured = [row for row in told["candidates"] if "bytes" in row]
    smallest = min(measured, key=lambda row: row["bytes"])
    assert f"{smallest['candidate']} with {smallest['bytes'] / 1000:.1f} kB" in text
    families = {row["family"] for row in told["candidates"]}
    assert families >= {"copy", "resnet8", "dscnn", "mobilenet_v1", "mobilenet_v2"}
    assert not list((trained / "runs/none").glob("distill-*"))


@pytest.mark.parametrize(
    ("arguments", "parts"),
    [
        (["nothing.onnx"], ["no such .onnx file"]),
        (["resnet8"], ["--weights"]),
        (["resnet8", "--weights", "none.safetensors"], ["no such file of weights"]),
        (["."], ["no saved model in this folder"]),
        (["net.pt"], ["safetensors"]),
        (["resnet9", "--weights", "w.safetensors"], ["teacher.model.name"]),
        (["w.onnx", "--weights", "w.safetensors"], ["Leave --weights out"]),
        (["resnet8", "--weights", "w.safetensors", "--set", "student=mlp"], ["compress chooses"]),
        (["resnet8", "--weights", "w.safetensors", "--budget", "1 %"], ["-1 %"]),
    ],
)
def test_wrong_arguments_are_told_at_once(arguments, parts, tmp_path):
    (tmp_path / "w.safetensors").write_bytes(b"")
    (tmp_path / "w.onnx").write_bytes(b"")
    more = ["--data", "digits"]
    if "--budget" not in arguments:
        more += ["--budget", "40 kB"]
    explained(edgekd("compress", *arguments, *more, cwd=tmp_path, expect=2), *parts)
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_a_model_that_knows_nothing_of_the_data_is_refused(trained):
    rng = np.random.default_rng(0)
    names = np.array([str(label) for label in range(10)])
    np.savez(
        trained / "noise.npz",
        x=rng.integers(0, 17, (300, 8, 8)).astype(np.uint8),
        y=names[np.arange(300) % 10],
    )
    done = edgekd(
        "compress", teacher(trained), "--data", "noise.npz", "--budget", "40 kB", *SMALL,
        "--name", "noise", cwd=trained, expect=1,
    )  # fmt: skip
    explained(done, "commonest class", "normalised")
