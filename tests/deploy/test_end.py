"""What the end is judged to cost, and how it is made shorter."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from edgekd.config.budget import LatencyBudget
from edgekd.deploy.budget import parse_budget
from edgekd.deploy.draft import Draft
from edgekd.deploy.end import A_FILE, CAPTURE, REPORTING, SPARE, Seen, end_seconds
from edgekd.propose.candidates import Candidate
from edgekd.propose.measure import Measured

STUDENT = Measured(
    Candidate("dscnn", 0.5), 1000, 10_000, 9000, ((LatencyBudget(p50=1e3), 20.0, 25.0),), 8.0, 0.5
)
SEEN = Seen(tests=0, teacher_forward=0.001, exports=(10.0, 8.0))


def draft(budget: str = "25 kB", *overrides: str, teacher: dict[str, Any] | None = None) -> Draft:
    fields = teacher or {"model": {"name": "resnet8"}, "train": None, "weights": "w"}
    data = {"source": "digits"}
    return Draft("a", data, dict(fields), parse_budget(budget), overrides, Path("runs"), 60.0)


def test_the_end_by_hand(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 2)
    # 4 files of the student and 2 of the teacher, whose export is as slow as the slowest;
    # 6 files with 1 and 2 threads are 12 processes; the quality stage starts, and has no samples
    exporting = 8 * (CAPTURE + 4 * A_FILE) + 10 * 2 * A_FILE
    measuring = 0.5 * (12 + REPORTING)
    found = end_seconds(draft().pipeline(), STUDENT, SEEN)
    assert found == pytest.approx((1 + SPARE) * (exporting + measuring + 0.5))


def test_a_lean_end_is_one_file_where_the_budget_looks():
    one = draft("25 kB, 1 ms 4 threads")
    full = end_seconds(one.pipeline(), STUDENT, SEEN)
    one.lean()
    pipeline = one.pipeline()
    assert (pipeline.export.formats, pipeline.export.precisions) == (("tflite",), ("int8",))
    assert pipeline.bench.threads == (4,)
    assert pipeline.quality is None
    assert end_seconds(pipeline, STUDENT, SEEN) < full / 2


def test_a_lean_end_makes_the_format_that_is_judged_and_keeps_what_the_user_set():
    one = draft("25 kB", "budget.format=onnx", "bench.threads=[2]")
    one.lean()
    assert one.pipeline().export.formats == ("onnx",)
    assert one.pipeline().bench.threads == (2,)


def test_a_teacher_that_is_a_file_is_not_exported():
    given = draft(teacher={"onnx": "net.onnx"}).pipeline()
    whole = end_seconds(draft().pipeline(), STUDENT, SEEN)
    assert end_seconds(given, STUDENT, SEEN) < whole - 10 * A_FILE


def test_slow_answers_count_for_every_test_sample():
    pipeline = draft().pipeline()
    few = end_seconds(pipeline, STUDENT, replace(SEEN, tests=100))
    many = end_seconds(pipeline, STUDENT, replace(SEEN, tests=10_000))
    assert many - few > 9900 * 2 * SEEN.teacher_forward
