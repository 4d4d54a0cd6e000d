"""Tables as a user runs them: the shipped pipeline, and a CSV file with categories of their own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import numpy as np
import pytest
from commands import edgekd, environment, explained
from int8_files import check_int8_files

QUICK = [
    "teacher.train.epochs=6",
    "distill.train.epochs=8",
    "quantize.train.epochs=2",
    "bench={quick: true, min_runs: 5, threads: [1]}",
    "budget={}",
]
TOWNS = ["Basel", "Köln", "Zürich"]


def overrides(*more: str) -> list[str]:
    return [part for setting in (*QUICK, *more) for part in ("--set", setting)]


def write_shop(path: Path, n: int = 600) -> None:
    """Who buys is told by the town and by the income, one column of either kind."""
    rng = np.random.default_rng(0)
    lines = ["age,town,income,bought"]
    for row in range(n):
        town, income = TOWNS[int(rng.integers(3))], rng.normal(50, 9)
        age = "" if row % 31 == 7 else str(int(rng.integers(18, 80)))
        buys = town == "Köln" or (town == "Basel" and income > 50)
        lines.append(f"{age},{town},{income:.2f},{'yes' if buys else 'no'}")
    path.write_text("\n".join(lines), encoding="utf-8")


@pytest.mark.slow
def test_the_shipped_pipeline(tmp_path):
    edgekd("run", "table", *overrides(), cwd=tmp_path)
    _, accuracy = check_int8_files(tmp_path / "runs/table")
    assert accuracy > 0.8


@pytest.mark.slow
def test_a_table_of_ones_own(tmp_path):
    write_shop(tmp_path / "shop.csv")
    told = edgekd("data", "shop.csv", cwd=tmp_path).stdout
    assert "600 rows, 4 columns" in told
    assert "3, 3 with a code" in told
    edgekd("init", "mine.yaml", "--data", "shop.csv", cwd=tmp_path)
    quick = overrides("quality=false", "teacher.train.epochs=15", "distill.train.epochs=15")
    edgekd("run", "mine.yaml", *quick, cwd=tmp_path)
    files, accuracy = check_int8_files(tmp_path / "runs/shop")
    assert accuracy > 0.8
    new = ["income,extra,town,age", "70,x,Köln,30", "20,x,Zürich,30", "50,x,Atlantis,NA"]
    (tmp_path / "new.csv").write_text("\n".join(new), encoding="utf-8")
    answers = [
        edgekd("predict", path, "new.csv", cwd=tmp_path).stdout.splitlines()
        for path in files.values()
    ]
    for lines in answers:
        assert [line.split(": ")[1].split()[0] for line in lines[:2]] == ["yes", "no"]
        assert len(lines) == 3
    edgekd("package", "runs/shop", "--target", "linux", "--out", "bundles", cwd=tmp_path)
    (wheel,) = (tmp_path / "bundles/linux").glob("*.whl")
    ZipFile(wheel).extractall(tmp_path / "site")
    bundled = subprocess.run(
        [sys.executable, "-m", "shop_classifier", str(tmp_path / "new.csv")],
        env={**environment(), "PYTHONPATH": str(tmp_path / "site")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    asked = edgekd("predict", files["tflite"], "new.csv", cwd=tmp_path).stdout
    assert [line.split(": ")[1] for line in bundled.splitlines()] == [
        line.split(": ")[1] for line in asked.splitlines()
    ]
    (tmp_path / "less.csv").write_text("income,age\n70,30\n", encoding="utf-8")
    done = edgekd("predict", files["tflite"], "less.csv", cwd=tmp_path, expect=1)
    explained(done, "no column 'town'", "less.csv")
