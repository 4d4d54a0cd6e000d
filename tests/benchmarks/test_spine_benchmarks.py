"""The benchmarks run, with tiny settings; what they measure is not judged here."""

from __future__ import annotations

import io
import json
import os
import subprocess
import zipfile
from pathlib import Path

import numpy as np
import pytest
from forked import run_module
from PIL import Image

from edgekd.statistics import mean_interval

ROOT = Path(__file__).resolve().parents[2]
MARKS = "<!-- spine:begin -->\n<!-- spine:end -->"


def run(module: str, *arguments: object, expect: int = 0) -> subprocess.CompletedProcess[str]:
    done = run_module(
        [f"benchmarks.{module}", *map(str, arguments)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        timeout=600,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return done


def smoke(folder: Path, name: str, *arguments: object) -> dict:
    results = folder / "results"
    done = run(f"spine.{name}", "--quick", "--work", folder, "--results", results, *arguments)
    result = json.loads((results / f"{name}.json").read_text())
    assert result["quick"] and result["machine"]["cores"] >= 1 and result["versions"]["torch"]
    assert str(folder) not in json.dumps(result), "results name no folder of this machine"
    table = done.stdout.splitlines()
    assert len(table) == 2 + len(result["rows"])
    assert all(line.count("|") == 5 for line in table)
    assert all(row["ok"] is None for row in result["rows"])
    return result["figures"]


def example(**changes: object) -> dict:
    return {
        "benchmark": "wall_time",
        "title": "How long a user waits",
        "command": "python -m benchmarks.spine.wall_time",
        "date": "2030-01-02T03:04:05+00:00",
        "ended": "2030-01-02T03:05:05+00:00",
        "load_before": 0.1,
        "runs": "3 cold runs",
        "quick": False,
        "machine": {
            "system": "Linux",
            "processor": "Processor X",
            "cores": 2,
            "memory_bytes": 8_000_000_000,
            "instructions": ["avx2", "sse4_1"],
        },
        "versions": {"python": "3.11.1", "torch": "2.11"},
        "rows": [
            {"what": "help", "reached": "0.2 s", "target": "≤ 0.3 s", "ok": True},
            {"what": "cold", "reached": "130 s", "target": "≤ 120 s", "ok": False},
            {"what": "else", "reached": "1", "target": "", "ok": None},
        ],
        "figures": {},
        **changes,
    }


def write_page(folder: Path, text: str, *results: dict) -> Path:
    page = folder / "README.md"
    page.write_text(text)
    results_folder = folder / "spine" / "results"
    results_folder.mkdir(parents=True)
    for result in results:
        (results_folder / f"{result['benchmark']}.json").write_text(json.dumps(result))
    return page


def test_tables_replace_what_stands_between_the_marks(tmp_path):
    page = write_page(tmp_path, f"before\n{MARKS}\nafter\n", example())
    arguments = ("--benchmarks", tmp_path, "--page", page)
    run("results_table", *arguments)
    text = page.read_text()
    run("results_table", *arguments)
    assert page.read_text() == text, "a second time changes nothing"
    assert text.startswith("before\n<!-- spine:begin -->\n")
    assert text.endswith("\n<!-- spine:end -->\nafter\n")
    for part in (
        "| help | 0.2 s | ≤ 0.3 s | yes |",
        "| cold | 130 s | ≤ 120 s | **no** |",
        "| else | 1 |  |  |",
        "2030-01-02, Processor X, 2 cores, 8 GB, Linux (avx2)",
        "3 cold runs",
        "torch 2.11",
    ):
        assert part in text
    assert "smoke test" not in text


def test_a_smoke_test_is_told_in_the_table(tmp_path):
    page = write_page(tmp_path, MARKS, example(quick=True))
    run("results_table", "--benchmarks", tmp_path, "--page", page)
    assert "these figures say nothing" in page.read_text()


@pytest.mark.parametrize("text", ["no marks", "<!-- spine:end --><!-- spine:begin -->"])
def test_a_page_without_marks_is_left_as_it_is(tmp_path, text):
    page = write_page(tmp_path, text, example())
    done = run("results_table", "--benchmarks", tmp_path, "--page", page, expect=1)
    assert "spine:begin" in done.stderr
    assert page.read_text() == text


def test_no_results(tmp_path):
    page = write_page(tmp_path, MARKS)
    done = run("results_table", "--benchmarks", tmp_path, "--page", page, expect=1)
    assert "run a benchmark first" in done.stderr


def test_the_real_page_has_its_marks():
    text = (ROOT / "benchmarks" / "README.md").read_text()
    assert text.count("<!-- spine:begin -->") == text.count("<!-- spine:end -->") == 1


@pytest.mark.slow
def test_digits(tmp_path):
    figures = smoke(tmp_path, "digits", "--set", "bench.runtimes=[litert]")
    student, teacher = figures["student_test"], figures["teacher_test"]
    assert figures["student_minus_teacher"]["values"] == pytest.approx(
        [student["values"][0] - teacher["values"][0]]
    )
    assert student["mean"] == mean_interval(student["values"])[0]
    assert student["low"] is None, "one run has no interval"
    whole = figures["parity"]["all_samples"]
    assert (whole["samples"], whole["comparisons"]) == (1797, 3)
    assert figures["parity"]["pipeline"]["samples"] == 360
    assert figures["zoo"]["parameters"] == min(t["parameters"] for t in figures["zoo"]["tried"])
    p50 = figures["latency"]["p50_us"]
    ratio = figures["latency"]["student_by_teacher"]
    assert ratio["median"] == pytest.approx(p50["student"][0] / p50["teacher"][0])


@pytest.mark.slow
def test_wall_time(tmp_path):
    figures = smoke(tmp_path, "wall_time")
    assert figures["stages_made_again"] == 0
    assert figures["help_imports_torch"] is False
    assert len(figures["help_seconds"]["values"]) == 10
    assert not list(tmp_path.glob("wall-*")), "the runs are removed"


@pytest.mark.slow
def test_training_speed(tmp_path):
    pictures = tmp_path / "pictures.zip"
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(pictures, "w") as file:
        for part, count in (("train", 40), ("test", 10)):
            for name in ("cat", "dog"):
                for number in range(count):
                    raw = io.BytesIO()
                    pixels = rng.integers(0, 256, (32, 32, 3), np.uint8)
                    Image.fromarray(pixels).save(raw, "JPEG")
                    file.writestr(f"{part}/{name}/{number}.jpg", raw.getvalue())
    figures = smoke(tmp_path, "training_speed", "--data", pictures)
    assert figures["runs"]["edgekd"][0]["train_samples"] == 72
    assert figures["workers"] in (0, 2)
    with np.load(next(tmp_path.glob("pictures-*.npz"))) as arrays:
        assert arrays["x_train"].shape == (80, 32, 32, 3)
        assert arrays["x_train"].dtype == np.uint8
        assert arrays["y_test"].tolist() == ["cat"] * 10 + ["dog"] * 10
        first = np.asarray(Image.open(io.BytesIO(zipfile.ZipFile(pictures).read("test/cat/1.jpg"))))
        assert np.array_equal(arrays["x_test"][1], first)
