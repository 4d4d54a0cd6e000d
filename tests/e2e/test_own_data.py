"""A user's own .npz, from `edgekd init` to the deployed file; and the other small commands."""

from __future__ import annotations

import json

import numpy as np
import pytest
from commands import edgekd, explained

from edgekd.results import Summary


def stripes(n: int = 240) -> dict[str, np.ndarray]:
    """Grey images of 12 x 12 with horizontal, vertical or diagonal stripes, in 8 bits."""
    rng = np.random.default_rng(0)
    rows, columns = np.mgrid[:12, :12]
    y = np.arange(n) % 3
    phase = rng.integers(0, 4, n)[:, None, None]
    ramps = np.stack([rows, columns, rows + columns])[y]
    x = 90 + 80 * ((ramps + phase) % 4 < 2) + rng.normal(0, 20, (n, 12, 12))
    names = np.array(["horizontal", "vertical", "diagonal"])
    return {"x": x.clip(0, 255).astype(np.uint8), "y": names[y]}


@pytest.mark.slow
def test_from_init_to_the_file(tmp_path):
    np.savez(tmp_path / "stripes.npz", **stripes())
    done = edgekd("init", "--data", "stripes.npz", "mine.yaml", cwd=tmp_path)
    assert "edgekd run mine.yaml" in done.stdout
    edgekd("validate", "mine.yaml", cwd=tmp_path)
    edgekd(
        "run", "mine.yaml", "--set", "teacher.model=resnet8", "--set", "teacher.train.epochs=15",
        "--set", "distill.train.epochs=20", "--set", "quantize.train.epochs=4",
        "--set", "budget={}", cwd=tmp_path,
    )  # fmt: skip
    raw = (tmp_path / "runs/stripes/summary.json").read_text()
    summary = Summary.model_validate_json(raw)
    (final,) = [
        m
        for m in summary.models
        if (m.stage, m.format, m.precision) == ("student", "tflite", "int8")
    ]
    assert final.accuracy is not None
    assert final.accuracy.value > 0.9
    np.save(tmp_path / "one.npy", stripes(3)["x"][1])
    answer = edgekd("predict", f"runs/stripes/{final.path}", "one.npy", cwd=tmp_path).stdout
    assert "vertical" in answer


def test_init_without_data_is_a_right_pipeline(tmp_path):
    edgekd("init", cwd=tmp_path)
    assert "$schema=pipeline.schema.json" in (tmp_path / "pipeline.yaml").read_text()
    json.loads((tmp_path / "pipeline.schema.json").read_text())
    done = edgekd("validate", "pipeline.yaml", cwd=tmp_path)
    assert "quantize" in done.stdout


def test_init_overwrites_nothing(tmp_path):
    (tmp_path / "pipeline.yaml").write_text("mine")
    explained(edgekd("init", cwd=tmp_path, expect=2), "exists already")
    assert (tmp_path / "pipeline.yaml").read_text() == "mine"


def test_init_looks_at_the_data_first(tmp_path):
    np.savez(tmp_path / "bad.npz", x=np.zeros((10, 3)), y=np.zeros(10))
    edgekd("init", "--data", "bad.npz", cwd=tmp_path, expect=1)
    assert not (tmp_path / "pipeline.yaml").exists()


def test_doctor_finds_this_installation_well(tmp_path):
    done = edgekd("doctor", cwd=tmp_path)
    for name in ("python", "torch", "litert-torch", "processor", "disk"):
        assert name in done.stdout
    assert "MISS" not in done.stdout


@pytest.mark.parametrize("of", ["pipeline", "device", "result"])
def test_schemas_are_json(of, tmp_path):
    schema = json.loads(edgekd("schema", of, cwd=tmp_path).stdout)
    assert schema["$schema"].endswith("2020-12/schema")
    assert schema["properties"]
