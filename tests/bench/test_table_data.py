"""The accuracy of a file on a user's table: its columns are found by the model's own names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import r2_score
from tiny_models import Tiny

from edgekd.bench.jobs import bench_file
from edgekd.bench.table_data import read_table_test
from edgekd.config.stages import BenchSettings
from edgekd.errors import DataError
from edgekd.spec import InputSpec, ModelSpec, NamedInputs

ONE = BenchSettings(min_runs=5, min_seconds=0.01, threads=(1,))
COLUMNS = ("a", "b", "c")


def table_model(**changes: object) -> Tiny:
    tiny = Tiny(shape=(3,), classes=2, mean=2.0, std=3.0)
    part = tiny.spec.input.model_copy(
        update={"columns": COLUMNS, "mean": (2.0,) * 3, "std": (3.0,) * 3}
    )
    tiny.spec = tiny.spec.model_copy(update={"input": part, **changes})
    return tiny


def write(path: Path, x: np.ndarray, **columns: object) -> Path:
    """The model's columns in another order, with one that it does not know between them."""
    raw = x * 3 + 2
    names = ["c", "note", "a", "b", *columns]
    rows = zip(raw[:, 2], ["x, y"] * len(x), raw[:, 0], raw[:, 1], *columns.values(), strict=True)
    lines = [",".join(f'"{value}"' for value in row) for row in rows]
    path.write_text("\n".join([",".join(names), *lines]), encoding="utf-8")
    return path


@pytest.mark.parametrize("form", ["onnx", "tflite"])
def test_classes_of_a_table(tmp_path, form):
    tiny = table_model()
    x = tiny.samples(60)
    y = tiny.logits(x).argmax(-1)
    y[:15] = 1 - y[:15]
    data = write(tmp_path / "rows.csv", x, told=[f"class{i}" for i in y])
    path = tiny.write(tmp_path, form, "float32")
    for label in ((), ("told",)):
        (row,) = bench_file(path, ONE, data, label)
        assert row.accuracy is not None and row.accuracy.value == 45 / 60


def test_targets_of_a_regression_are_found_by_their_names(tmp_path):
    changes = {"task": "regression", "labels": ("high", "low")}
    tiny = table_model(**changes, target_mean=(10.0, 20.0), target_std=(1.0, 2.0))
    x = tiny.samples(60)
    answers = tiny.logits(x) * (1, 2) + (10, 20)
    y = answers + np.random.default_rng(0).normal(0, 0.5, answers.shape)
    data = write(tmp_path / "rows.csv", x, low=y[:, 1], high=y[:, 0])
    (row,) = bench_file(tiny.write(tmp_path, "onnx", "float32"), ONE, data)
    assert row.accuracy is not None
    assert row.accuracy.value == pytest.approx(r2_score(y, answers), abs=1e-3)


def test_what_is_not_clear_is_asked_for(tmp_path):
    tiny = table_model()
    x, model = tiny.samples(4), tiny.write(tmp_path, "onnx", "float32")
    twice = write(tmp_path / "twice.csv", x, one=["class0"] * 4, two=["class1"] * 4)
    with pytest.raises(DataError, match="not clear") as caught:
        bench_file(model, ONE, twice)
    assert "--label COLUMN" in caught.value.fix and "one, two" in caught.value.where
    (row,) = bench_file(model, ONE, twice, ("two",))
    assert row.accuracy is not None
    for label, words in ((("note",), "the label 'x, y'"), (("three",), "no column 'three'")):
        with pytest.raises(DataError, match=words):
            bench_file(model, ONE, twice, label)
    gap = write(tmp_path / "gap.csv", x, told=["class0", "", "class1", "class0"])
    with pytest.raises(DataError, match="no label") as caught:
        bench_file(model, ONE, gap, ("told",))
    assert "line 3" in caught.value.where
    (tmp_path / "less.csv").write_text("a,b,told\n1,2,class0\n")
    with pytest.raises(DataError, match="no column 'c'"):
        bench_file(model, ONE, tmp_path / "less.csv")
    np.savez(tmp_path / "data.npz", x=x, y=[0, 1, 1, 0])
    with pytest.raises(DataError, match="Only a table"):
        bench_file(model, ONE, tmp_path / "data.npz", ("y",))


def test_categories_have_the_models_codes(tmp_path):
    codes = InputSpec(
        name="codes", kind="codes", shape=(1,), columns=("town",), vocabulary=(("Köln", "Zürich"),)
    )
    numbers = InputSpec(
        name="numbers", kind="row", shape=(1,), columns=("age",), mean=(30.0,), std=(10.0,)
    )
    spec = ModelSpec(name="m", input=NamedInputs(inputs=(numbers, codes)), labels=("no", "yes"))
    text = "town,age,bought\nZürich,40,yes\nAtlantis,20,no\nKöln,,yes\n"
    (tmp_path / "shop.csv").write_text(text, encoding="utf-8")
    x, y = read_table_test(tmp_path / "shop.csv", spec, ())
    assert x["codes"].tolist() == [[2], [0], [1]]
    assert x["numbers"].tolist() == [[1.0], [-1.0], [0.0]]
    assert y.tolist() == [1, 0, 1]


def test_windows_of_a_signal_have_the_label_of_most_of_their_steps(tmp_path):
    part = InputSpec(
        kind="series", shape=(2, 3), mean=(0.0, 1.0), std=(1.0, 2.0), columns=("u", "v")
    )
    spec = ModelSpec(name="m", input=part, labels=("idle", "on"))
    states = ["on", "idle", "idle", "on", "on", "idle", "on"]
    rows = [f"{3 + 2 * step},{state},{step}" for step, state in enumerate(states)]
    (tmp_path / "signal.csv").write_text("\n".join(["v,state,u", *rows]))
    x, y = read_table_test(tmp_path / "signal.csv", spec, ())
    assert x.tolist() == [[[0, 1, 2], [1, 2, 3]], [[3, 4, 5], [4, 5, 6]]]
    assert y.tolist() == [0, 1]
