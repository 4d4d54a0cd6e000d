"""Time by operator: a profile that cannot be had stops nothing, and how it is shown."""

from __future__ import annotations

from pathlib import Path

import pytest
from tiny_models import Tiny

from edgekd.bench import profile as profiles
from edgekd.bench.jobs import bench_files
from edgekd.bench.profile import profile
from edgekd.bench.table import PROFILED, format_profile, format_types
from edgekd.bench.visit import BenchModel, More
from edgekd.config.device import DeviceSettings
from edgekd.config.stages import BenchSettings
from edgekd.devices import open_device
from edgekd.results import OperatorFigures
from edgekd.stages.bench import _profiled

SHORT = BenchSettings(threads=(1, 2), min_runs=5, min_seconds=0.01)


def test_a_profiler_that_ends_the_process_is_a_note(tmp_path, monkeypatch):
    path = Tiny().write(tmp_path, "tflite", "int8")
    bad = tmp_path / "bad_profiler.py"
    bad.write_text("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)\n")
    monkeypatch.setattr(profiles, "LITERTS", bad)
    first, second = bench_files([path], SHORT, more=More(profile=[path])).rows
    assert first.profile is None and "SIGSEGV" in first.profile_note
    assert first.latency_us is not None and second.profile_note == ""


def test_a_browser_has_no_profiler(tmp_path):
    browser = DeviceSettings(name="browser", kind="browser")
    found = profile(open_device(browser), browser, {"model": "a.onnx"}, "onnx")
    assert list(found) == ["profile_note"] and "browser" in found["profile_note"]


@pytest.fixture(scope="module")
def row(tmp_path_factory):
    path = Tiny().write(tmp_path_factory.mktemp("model"), "onnx", "float32")
    (found,) = bench_files([path], SHORT.model_copy(update={"threads": (1,)})).rows
    few = [OperatorFigures(name=f"n{i}", op="Add", us=1.0, calls=9) for i in range(PROFILED)]
    slow = OperatorFigures(name="slow", op="Conv", us=75.0, calls=9)
    return found.model_copy(update={"profile": [*few, slow]})


def test_the_slowest_operators_come_first(row):
    head, first, *others, rest = format_profile(row)
    assert head == ("operator", "type", "time", "share", "together")
    assert first == ("slow", "Conv", "75.0 µs", "75.0%", "75.0%")
    assert len(others) == PROFILED - 1 and others[0][3:] == ("1.0%", "76.0%")
    assert rest == ("1 others", "", "1.00 µs", "1.0%", "100.0%")


def test_types_of_operators(row):
    assert format_types(row)[1:] == [
        ("Conv", "1", "75.0 µs", "75.0%"),
        ("Add", "25", "25.0 µs", "25.0%"),
    ]


def test_the_report_draws_the_first_students_int8_files():
    def model(stage: str, seed: int, precision: str, form: str) -> BenchModel:
        path = Path(f"{stage}{seed}-{precision}.{form}")
        return BenchModel(path, stage, seed, precision, form)

    both = ("float32", "int8")
    teacher = [model("teacher", 0, "float32", form) for form in ("onnx", "tflite")]
    students = [model("student", s, p, "onnx") for s in (3, 4) for p in both]
    assert _profiled([*teacher, *students]) == [Path("student3-int8.onnx")]
    floats = [one for one in students if one.precision == "float32"]
    assert _profiled([*teacher, *floats]) == [Path("student3-float32.onnx")]
    assert _profiled(teacher) == []
