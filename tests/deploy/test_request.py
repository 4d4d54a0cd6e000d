"""What `--data` names, as fields of the pipeline file."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import yaml

from edgekd.config.load import validate
from edgekd.config.pipeline import Pipeline
from edgekd.data.command_source import data_fields
from edgekd.data.sources import load_source
from edgekd.deploy.request import window_of
from edgekd.errors import EdgekdError


def test_a_table_has_its_label_last(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rows.csv").write_text("a,bought\n1,yes\n2,no\n")
    assert data_fields("rows.csv") == {
        "source": "table", "path": str(tmp_path / "rows.csv"), "label": ["bought"],
    }  # fmt: skip
    assert data_fields("digits") == {"source": "digits"}
    with pytest.raises(EdgekdError, match="no such file"):
        data_fields("none.csv")


def test_a_table_for_a_model_of_windows_is_a_signal(tmp_path):
    rows = [f"{math.sin(i / 3):.3f},{'ab'[i // 40 % 2]}" for i in range(2000)]
    (tmp_path / "signal.csv").write_text("\n".join(["u,state", *rows]))
    saved = tmp_path / "teacher-1"
    saved.mkdir()
    spec = {"input": {"kind": "series", "shape": [1, 20]}}
    (saved / "model.json").write_text(json.dumps({"spec": spec}))
    window = window_of({"weights": str(saved)})
    assert window == 20 and window_of({"onnx": "net.onnx"}) is None
    fields = data_fields(str(tmp_path / "signal.csv"), window)
    made = validate(Pipeline, {"name": "a", "data": fields})
    assert load_source(made.data, Path()).spec.inputs[0].shape == (1, 20)


def test_windows_in_an_npz_file_are_a_signal(tmp_path):
    np.savez(tmp_path / "w.npz", x=np.zeros((8, 2, 32)), y=np.arange(8) % 2)
    assert data_fields(str(tmp_path / "w.npz"))["source"] == "series"


def test_paths_of_a_pipeline_file_start_where_they_did(tmp_path):
    (tmp_path / "sub").mkdir()
    for data, told in (
        (
            {"source": "table", "path": "a.csv", "test_file": "b.csv", "label": "y"},
            {"path": "a.csv", "test_file": "b.csv"},
        ),
        ({"source": "python", "python": "mine.py:load"}, {"python": "mine.py:load"}),
        ({"source": "huggingface", "name": "./pets"}, {"name": "pets"}),
        ({"source": "huggingface", "name": "mnist"}, {}),
    ):
        file = tmp_path / "sub" / "p.yaml"
        file.write_text(yaml.safe_dump({"name": "a", "data": data}))
        found = data_fields(str(file))
        for field, name in told.items():
            assert found[field] == str(tmp_path / "sub" / name)
        assert validate(Pipeline, {"name": "a", "data": found}).data.source == data["source"]
