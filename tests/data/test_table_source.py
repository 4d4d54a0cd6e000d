"""The `table` source: columns told apart, codes, scaling, splits, and what is wrong with a file."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from edgekd.config.data import TableData
from edgekd.data.sources import load_source, source_fingerprint
from edgekd.data.table_columns import encode
from edgekd.data.table_file import read_table
from edgekd.errors import DataError


def rows(n: int = 120) -> list[list[str]]:
    rng = np.random.default_rng(0)
    made = [["age", "town", "code", "income", "who", "bought"]]
    for i in range(n):
        town = ["Basel", "Zürich", "Köln"][int(rng.integers(3))]
        age = "" if i % 17 == 5 else str(int(rng.integers(18, 80)))
        made.append(
            [
                age,
                town,
                str(int(rng.integers(3))),
                f"{rng.normal(50, 9):.2f}",
                f"p{i % 12}",
                "yes" if town == "Basel" else "no",
            ]
        )
    return made


def write(path: Path, table: list[list[str]], encoding: str = "utf-8") -> Path:
    path.write_bytes("\n".join(",".join(row) for row in table).encode(encoding))
    return path


def load(folder: Path, table: list[list[str]] | None = None, **settings):
    write(folder / "rows.csv", table or rows())
    settings = {"path": "rows.csv", "label": "bought", "drop": "who", **settings}
    return load_source(TableData(**settings), folder)


def test_columns_become_numbers_and_codes(tmp_path):
    data = load(tmp_path, categorical="code")
    numbers, codes = data.spec.inputs
    assert numbers.columns == ("age", "income")
    assert codes.columns == ("town", "code")
    assert set(codes.vocabulary[0]) == {"Basel", "Zürich", "Köln"}
    assert set(codes.vocabulary[1]) == {"0", "1", "2"}
    assert (data.task, data.labels) == ("binary", ("no", "yes"))
    assert sum(len(split) for split in data.splits.values()) == 120
    raw = np.concatenate([split.x["numbers"] for split in data.splits.values()])
    assert raw.shape == (120, 2)
    assert np.isfinite(raw).all()
    x = data.spec.normalise(data.train.x)
    np.testing.assert_allclose(x["numbers"].mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(x["numbers"].std(0), 1, atol=1e-5)
    basel = 1 + codes.vocabulary[0].index("Basel")
    for split in data.splits.values():
        np.testing.assert_array_equal(split.x["codes"][:, 0] == basel, split.y == 1)


def test_missing_and_unseen_values_have_an_answer(tmp_path):
    data = load(tmp_path)
    new = [["income", "extra", "town", "code", "age"], ["50", "x", "Atlantis", "1", "NA"]]
    x = encode(read_table(write(tmp_path / "new.csv", new)), data.spec)
    age, *_ = data.spec.inputs[0].columns
    assert age == "age"
    np.testing.assert_allclose(x["numbers"][0, 0], data.spec.inputs[0].mean[0], rtol=1e-6)
    assert x["codes"].tolist() == [[0]]
    assert data.spec.normalise(x)["numbers"][0, 0] == pytest.approx(0, abs=1e-6)


def test_rare_categories_share_code_0(tmp_path):
    table = rows()
    table[1][1] = "Bern"
    table[1][5] = "no"
    data = load(tmp_path, table)
    assert all("Bern" not in part.vocabulary[0] for part in data.spec.inputs[1:])
    assert len(load(tmp_path, table, max_categories=1).spec.inputs[1].vocabulary[0]) == 1


def test_groups_stay_on_one_side(tmp_path):
    data = load(tmp_path, drop=(), group="who", numeric="age")
    assert "who" not in data.spec.inputs[1].columns
    table = read_table(tmp_path / "rows.csv")
    coded = encode(table, data.spec)
    where: dict[str, set[str]] = {}
    for part, split in data.splits.items():
        for numbers in split.x["numbers"]:
            same = (coded["numbers"] == numbers).all(1)
            for who in table.column("who")[same]:
                where.setdefault(str(who), set()).add(part)
    assert len(where) == 12
    assert {len(parts) for parts in where.values()} == {1}


def test_numbers_alone_are_a_single_input_and_splits_are_seeded(tmp_path):
    data = load(tmp_path, drop=("who", "town"))
    assert data.spec.kind == "row"
    assert data.train.x.dtype == np.float32
    assert load(tmp_path, drop=("who", "town")).fingerprint == data.fingerprint
    assert load(tmp_path, drop=("who", "town"), split_seed=1).fingerprint != data.fingerprint


def test_a_second_file_is_the_test_set(tmp_path):
    write(tmp_path / "later.csv", rows(30))
    data = load(tmp_path, test_file="later.csv")
    assert len(data.test) == 30
    assert len(data.train) + len(data.validation) == 120
    assert any("also stand in the train split" in warning for warning in data.warnings)
    settings = TableData(path=Path("rows.csv"), label=("bought",), test_file=Path("later.csv"))
    before = source_fingerprint(settings, tmp_path)
    write(tmp_path / "later.csv", rows(31))
    assert source_fingerprint(settings, tmp_path) != before


@pytest.mark.parametrize("name", ["breast_cancer", "wine", "iris", "diabetes"])
def test_scikit_learns_tables(name, tmp_path):
    from sklearn import datasets

    data = load_source(TableData(sklearn=name), tmp_path)
    reference = getattr(datasets, f"load_{name}")()
    together = np.concatenate([split.x for split in data.splits.values()])
    expected = np.asarray(reference.data, np.float32)
    order = [np.lexsort(array.T) for array in (together, expected)]
    np.testing.assert_allclose(together[order[0]], expected[order[1]], rtol=1e-6)
    if name != "diabetes":
        assert set(data.labels) == set(map(str, reference.target_names))
    else:
        assert data.task == "regression"


def changed(row: int, column: int, value: str) -> list[list[str]]:
    table = rows()
    table[row][column] = value
    return table


@pytest.mark.parametrize(
    ("table", "settings", "told"),
    [
        (changed(7, 3, "much"), {}, r"'much' is no number.*line 8, column income"),
        (changed(0, 1, "age"), {}, "Two columns are called 'age'"),
        (changed(9, 5, ""), {}, "no label.*line 10"),
        (rows()[:1], {}, "no rows"),
        ([[""]], {}, "empty"),
        ([*rows(), ["1", "2"]], {}, "2 values, and there are 6 columns.*line 122"),
        ([row if i == 0 else [*row[:5], "no"] for i, row in enumerate(rows())], {}, "one class"),
        (rows(), {"label": "sold"}, "no column 'sold'.*age, town"),
        (rows(), {"drop": "nobody"}, "no column 'nobody'"),
        (
            [[*r[:4], "g", r[5]] if i else r for i, r in enumerate(rows())],
            {"group": "who"},
            "too few",
        ),
    ],
)
def test_bad_tables_are_told_with_their_place(tmp_path, table, settings, told):
    with pytest.raises(DataError) as caught:
        load(tmp_path, table, **settings)
    text = f"{caught.value.what} {caught.value.where}"
    import re

    assert re.search(told, text), text


def test_other_encodings_and_missing_files_are_told(tmp_path):
    write(tmp_path / "old.csv", rows(), "latin-1")
    with pytest.raises(DataError, match="not UTF-8"):
        load_source(TableData(path=Path("old.csv"), label=("bought",)), tmp_path)
    with pytest.raises(DataError, match="no such file"):
        load_source(TableData(path=Path("none.csv"), label=("bought",)), tmp_path)


def test_semicolons_and_quotes(tmp_path):
    (tmp_path / "a.csv").write_text('\ufeffa;b\n1;"x;y"\n2;z\n', encoding="utf-8")
    table = read_table(tmp_path / "a.csv")
    assert table.column("b").tolist() == ["x;y", "z"]
    assert table.lines.tolist() == [2, 3]


def test_parquet_gives_the_same_as_csv(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    names, *lines = rows()
    columns = dict(zip(names, zip(*lines, strict=True), strict=True))
    typed = {
        **columns,
        "age": [int(text) if text else None for text in columns["age"]],
        "income": [float(text) for text in columns["income"]],
    }
    pq.write_table(pa.table(typed), tmp_path / "rows.parquet")
    from_csv = load(tmp_path)
    from_parquet = load(tmp_path, path="rows.parquet")
    assert from_parquet.spec == from_csv.spec
    assert from_parquet.fingerprint == from_csv.fingerprint
    pq.write_table(pa.table({"a": [1.5, None], "b": ["x", "y"]}), tmp_path / "a.parquet")
    assert read_table(tmp_path / "a.parquet").column("a").tolist() == ["1.5", ""]
    pq.write_table(pa.table({"a": pa.array([], pa.int64())}), tmp_path / "b.parquet")
    with pytest.raises(DataError, match="no rows"):
        read_table(tmp_path / "b.parquet")
    (tmp_path / "c.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="no Parquet file"):
        read_table(tmp_path / "c.parquet")


def test_parquet_without_pyarrow_says_what_is_missing(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    (tmp_path / "a.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="without pyarrow"):
        read_table(tmp_path / "a.parquet")
