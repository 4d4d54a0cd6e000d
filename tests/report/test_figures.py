"""Which figures are compared, how they are written, and what classes lost, against numpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from report_example import example_details, example_summary
from sklearn.metrics import confusion_matrix, recall_score

from edgekd.report import figures, tables, units
from edgekd.report.confusion import draw, lost_most
from edgekd.results import BudgetFigures


@pytest.mark.parametrize(
    ("shown", "text"),
    [
        (units.size(999), "999 B"),
        (units.size(19_248), "19.2 kB"),
        (units.size(999_999), "1.00 MB"),
        (units.size(None), "–"),
        (units.microseconds(13.94), "13.9 µs"),
        (units.microseconds(1250), "1.25 ms"),
        (units.operations(2_551_498), "2.55 M"),
        (units.count(6106), "6,106"),
        (units.about(272_186), "272,000"),
        (units.percent(0.98611), "98.6 %"),
        (units.percent(float("inf")), "–"),
        (units.points(-0.0028), "−0.3"),
        (units.points(0.0001), "±0.0"),
        (units.ratio(6106, 272_186, "fewer", "more"), "45× fewer"),
        (units.ratio(2, 1, "faster", "slower"), "2.0× slower"),
        (units.ratio(1, 1, "fewer", "more"), "same"),
        (units.ratio(1, 0, "fewer", "more"), ""),
        (units.quantity(40_000, "bytes"), "40 kB"),
        (units.quantity(0.01, "fraction"), "1 %"),
        (units.quantity(2000, "us"), "2 ms"),
        (units.quantity(200, "us"), "200 µs"),
        (units.score(0.98611, "accuracy"), "98.6 %"),
        (units.score(-0.0314, "r2"), "−0.031"),
        (units.score(None, "r2"), "–"),
        (units.score_change(-0.0121, "macro_f1"), "−1.2 points"),
        (units.score_change(-0.0121, "r2"), "−0.012"),
        (units.score_difference(0.0001, "r2"), "±0.000"),
        (units.quantity(0.85, "score"), "0.85"),
        (units.quantity(25_000, "raw"), "25,000"),
        (units.seed_figure(0.8512, "test R² of student, tflite, int8"), "0.8512"),
        (units.seed_figure(0.8512, "test macro F1 of student, tflite, int8"), "85.12 %"),
        (units.seed_figure(12.3456, "test MAE of student, tflite, int8"), "12.3"),
        (units.short(0.002), "0.002"),
        (units.short(10), "10"),
        (units.duration(125), "2 min 05 s"),
        (units.duration(4320), "1 h 12 min"),
        (units.significant(0), "0"),
    ],
)
def test_numbers_are_written_for_people(shown, text):
    assert shown == text


@given(st.floats(1e-3, 1e12))
def test_significant_digits_keep_the_value(value):
    assert float(units.significant(value).replace(",", "")) == pytest.approx(value, rel=6e-3)


def test_final_model_is_the_last_stages_in_the_deployed_format():
    summary = example_summary()
    assert figures.deployed_format(summary) == "tflite"
    final = figures.final_model(summary)
    assert final is not None
    assert (final.stage, final.format, final.precision) == ("quantize", "tflite", "int8")
    summary.settings["budget"]["format"] = "onnx"
    final = figures.final_model(summary)
    assert final is not None
    assert (final.stage, final.format) == ("quantize", "onnx")


def test_speedup_compares_the_same_runtime_device_and_threads():
    both = figures.compare(example_summary())
    assert both is not None
    assert both.speedup == pytest.approx(241.5 / 13.9)
    summary = example_summary()
    summary.bench = [b for b in summary.bench if b.stage != "teacher" or b.runtime != "litert"]
    both = figures.compare(summary)
    assert both is not None
    assert both.speedup is None
    assert "faster" not in figures.headline(summary)


def test_stage_rows_follow_the_run():
    rows = tables.stage_rows(example_summary())
    assert [row.stage for row in rows] == ["teacher", "distill", "prune", "quantize"]
    assert [row.final for row in rows] == [False, False, False, True]
    assert rows[0].size.ratio == ""
    assert rows[3].size.ratio == units.ratio(19_248, 1_126_904, "smaller", "larger")
    assert rows[1].size.ratio == units.ratio(41_204, 1_118_724, "smaller", "larger")


@pytest.mark.parametrize(
    ("limit", "value", "ok", "relation"),
    [
        (4, 3, True, "≤"),
        (4, 5, False, "≤"),
        (4, 5, True, "≥"),
        (4, 3, False, "≥"),
        (4, 4, True, "≤"),
    ],
)
def test_relation_of_a_budget(limit, value, ok, relation):
    budget = BudgetFigures(name="size", limit=limit, value=value, unit="bytes", ok=ok)
    assert figures.relation(budget) == relation


def test_classes_that_lost_most_agree_with_scikit_learn():
    rng = np.random.default_rng(3)
    truth = rng.integers(0, 7, 500)
    teacher = np.where(rng.random(500) < 0.9, truth, rng.integers(0, 7, 500))
    student = np.where(rng.random(500) < 0.8, truth, rng.integers(0, 7, 500))
    classes = list(range(7))
    before = recall_score(truth, teacher, labels=classes, average=None)
    after = recall_score(truth, student, labels=classes, average=None)
    lost = lost_most(
        confusion_matrix(truth, teacher, labels=classes),
        confusion_matrix(truth, student, labels=classes),
        (),
        most=4,
    )
    change = np.asarray(after) - np.asarray(before)
    order = [int(i) for i in np.argsort(change, kind="stable") if change[i] < 0][:4]
    assert [int(row.label) for row in lost] == order
    assert [row.difference for row in lost] == pytest.approx(list(change[order]))
    assert all(row.low <= row.student / row.n <= row.high for row in lost)


def test_a_class_without_samples_has_no_recall():
    teacher, student = np.array([[0, 0], [0, 3]]), np.array([[0, 0], [1, 2]])
    assert [row.label for row in lost_most(teacher, student, ("a", "b"))] == ["b"]
    assert lost_most(teacher, teacher, ("a", "b")) == []


def test_drawing_holds_every_answer():
    details = example_details()
    drawing = draw(details.confusion["student"], details.labels)
    assert sum(cell.count for cell in drawing.cells) == drawing.n == 360
    assert sum(cell.count for cell in drawing.cells if cell.right) == drawing.right == 355
    assert drawing.left_out == 0
