"""`edgekd compress` of models that are no classifiers, and of models with several named inputs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from commands import edgekd, explained

from edgekd.results import Summary

SMALL = (
    "--minutes", "60", "--epochs", "2", "--candidates", "1", "--set", "quality=null",
    "--set", "bench.threads=[1]", "--set", "export.formats=[tflite]",
)  # fmt: skip


def write_houses(folder: Path) -> None:
    """Numbers and a category, and a price that follows from both."""
    rng = np.random.default_rng(0)
    area, town = rng.uniform(50, 150, 400), rng.choice(["Köln", "Ulm", "Bern"], 400)
    price = 2 * area + 80 * (town == "Bern") + rng.normal(0, 5, 400)
    rows = [f"{a:.2f},{t},{p:.2f}" for a, t, p in zip(area, town, price, strict=True)]
    (folder / "houses.csv").write_text("\n".join(["area,town,price", *rows]), encoding="utf-8")


def write_faults(folder: Path) -> None:
    """Two numbers, of which three labels follow."""
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(2, 400))
    labels = np.stack([a > 0, b > 0.3, a + b > 0.5], 1).astype(int)
    rows = [f"{x:.4f},{y:.4f},{','.join(map(str, row))}" for x, y, row in zip(a, b, labels)]  # noqa: B905
    (folder / "faults.csv").write_text("\n".join(["a,b,hot,loud,worn", *rows]))


def pipeline(folder: Path, name: str, label: object) -> None:
    fields = {
        "name": name,
        "data": {"source": "table", "path": f"{name}.csv", "label": label},
        "teacher": {
            "model": {"name": "tablemlp", "width": 0.5},
            "train": {"epochs": 12, "batch_size": 32, "learning_rate": 0.01},
        },
        "student": {"model": {"name": "tablemlp", "width": 0.25}},
    }
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(fields))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "label", "metric", "family"),
    [("houses", "price", "r2", "copy"), ("faults", ["hot", "loud", "worn"], "macro_f1", "copy")],
)
def test_regression_several_labels_and_named_inputs(tmp_path, name, label, metric, family):
    {"houses": write_houses, "faults": write_faults}[name](tmp_path)
    pipeline(tmp_path, name, label)
    edgekd("run", f"{name}.yaml", "--until", "teacher", cwd=tmp_path)
    (teacher,) = (tmp_path / "runs" / name).glob("teacher-*")
    # A regression's table has its label last, so that the file alone is enough.
    data = "houses.csv" if name == "houses" else "faults.yaml"
    done = edgekd(
        "compress", teacher, "--data", data, "--budget", "40 kB, -60 %", *SMALL,
        "--name", "small", cwd=tmp_path, timeout=900,
    )  # fmt: skip
    assert "next:   edgekd run runs/small/pipeline.yaml" in done.stdout
    made = Summary.model_validate_json((tmp_path / "runs/small/summary.json").read_text())
    assert all(row.ok for row in made.budget)
    final = next(m for m in made.models if (m.stage, m.precision) == ("student", "int8"))
    given = next(m for m in made.models if m.stage == "teacher" and m.format == "torch")
    assert final.accuracy is not None and final.accuracy.metric == metric
    assert given.validation is not None and given.validation.value > 0.8
    told = json.loads((tmp_path / "runs/small/candidates.json").read_text())
    assert told["candidates"][0]["family"] == family
    again = edgekd("run", "runs/small/pipeline.yaml", cwd=tmp_path)
    assert "done in" not in again.stdout
    if name == "houses":
        (file,) = (tmp_path / "runs/small").glob("export-*/student-int8.tflite")
        rows = edgekd("bench", file, "--data", "houses.csv", "--quick", "--json", "-", cwd=tmp_path)
        assert json.loads(rows.stdout)["rows"][0]["accuracy"]["metric"] == "r2"


def test_a_table_whose_label_is_another_column_says_which_columns_there_are(tmp_path):
    write_houses(tmp_path)
    (tmp_path / "net.onnx").write_bytes(b"")
    done = edgekd(
        "compress", "net.onnx", "--data", "houses.csv", "--budget", "9 kB",
        "--set", "data.label=cost", cwd=tmp_path, expect=1,
    )  # fmt: skip
    explained(done, "no column 'cost'", "houses.csv", "area, town, price")
