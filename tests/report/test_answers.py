"""What the page shows of several labels and of a regression, against scikit-learn."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from report_example import example_details, example_summary
from sklearn.metrics import f1_score, precision_score, recall_score, roc_auc_score

from edgekd.report.answers import MOST_POINTS, label_rows, scatters
from edgekd.report.metric_rows import MEAN, metric_table
from edgekd.report.page import render
from edgekd.results import Accuracy, MetricFigures, Summary

RNG = np.random.default_rng(0)
Y = (RNG.random((200, 3)) < (0.5, 0.3, 0.2)).astype(np.float32)
TEACHER = RNG.normal(size=Y.shape) + 4 * Y - 2
STUDENT = RNG.normal(size=Y.shape) + 2 * Y - 1
LABELS = ("rain", "<snow>", "fog")


def test_labels_one_by_one_are_scikit_learns():
    rows = {
        row.label: row for row in label_rows({"teacher": TEACHER, "student": STUDENT}, Y, LABELS)
    }
    change = []
    for number, label in enumerate(LABELS):
        row, y, logits = rows[label], Y[:, number], STUDENT[:, number]
        own, before = f1_score(y, logits > 0), f1_score(y, TEACHER[:, number] > 0)
        change.append(own - before)
        assert row.positive == y.sum()
        assert row.student_f1 == f"{100 * own:.1f} %"
        assert row.teacher_f1 == f"{100 * before:.1f} %"
        assert row.precision == f"{100 * precision_score(y, logits > 0):.1f} %"
        assert row.recall == f"{100 * recall_score(y, logits > 0):.1f} %"
        assert row.area == f"{roc_auc_score(y, logits):.3f}"
        low, high = map(float, re.findall(r"[0-9.]+", row.interval))
        assert low < 100 * own < high
        assert row.worse == (own - before <= -0.01)
    assert list(rows) == [LABELS[i] for i in np.argsort(change, kind="stable")]


def test_a_label_that_never_occurs_has_no_ranking_and_no_recall():
    (row,) = label_rows({"student": STUDENT[:, :1] - 99}, np.zeros((200, 1)), ("never",))
    assert (row.positive, row.teacher_f1, row.recall, row.precision) == (0, "–", "–", "–")
    assert (row.student_f1, row.area) == ("0.0 %", "–")


def test_a_scatter_says_its_r2_and_draws_at_most_so_many_samples():
    y = RNG.normal(50, 5, (1000, 2))
    found = scatters({"teacher": y + 1, "student": y - 3}, y, ("a", "b"))
    assert [plot.title for plot in found] == [
        "Teacher: a",
        "Student: a",
        "Teacher: b",
        "Student: b",
    ]
    assert all(plot.left_out == 1000 - MOST_POINTS for plot in found)
    assert "mean absolute error 3.00" in found[1].svg
    r2 = 1 - 1000 / ((y[:, 0] - y[:, 0].mean()) ** 2).sum()
    assert f"R² {r2:.3f}" in found[0].svg


def metric(name: str, value: float, target: str = "", unit: str = "fraction") -> MetricFigures:
    return MetricFigures(
        name=name, target=target, value=value, low=value - 1, high=value + 1, n=9,
        runtime="litert", split="test", unit=unit,
    )  # fmt: skip


def of_regression(summary: Summary) -> Summary:
    """The example with another task's scores, less what names the accuracy."""
    summary = summary.model_copy(update={"budget": [], "over_seeds": []}, deep=True)
    for model in [*summary.models, *summary.bench]:
        model.metrics = [metric("r2", 0.5), metric("mae", 12.5, "a", "raw")]
        model.metrics.append(metric("mae", 2_500, unit="raw"))
        if model.accuracy is not None:
            model.accuracy = Accuracy(
                value=0.5, low=-0.2, high=0.7, n=9, runtime="torch", split="test", metric="r2"
            )
    for file in summary.quality:
        file.calibration = None
        for score in (file.clean, *(row.score for row in file.shifts)):
            score.metric = "r2"
    return summary


def test_the_table_has_every_metric_of_teacher_and_student():
    table = metric_table(of_regression(example_summary()))
    assert table is not None
    assert [form for _, form in table.columns] == [
        "TFLite, float32",
        "TFLite, float32",
        "TFLite, int8",
    ]
    assert [who for who, _ in table.columns] == ["Teacher", "Student", "Student"]
    assert [(name, target) for name, target, _ in table.rows] == [
        ("R²", ""),
        ("MAE", "a"),
        ("MAE", MEAN),
    ]
    assert metric_table(example_summary()) is None


def test_the_page_of_a_regression_speaks_of_r2_and_not_of_accuracy():
    y = RNG.normal(50, 5, (60, 1))
    details = replace(
        example_details(),
        confusion={},
        labels=("price",),
        task="regression",
        answers={"teacher": y + 1, "student": y - 3},
        targets=y,
    )
    page = render(of_regression(example_summary()), details)
    text = re.sub(r"<style>.*?</style>|<pre>.*?</pre>", "", page, flags=re.S)
    assert "R² against size" in text and "What R² costs" in text and "−0.200 to 0.700" in text
    assert "Predicted against true" in text and "2,500" in text
    shown = text.partition('id="warnings"')[0]
    assert "Parity" in shown and "ccuracy" not in shown


def test_the_page_of_several_labels_shows_them_escaped():
    details = replace(
        example_details(),
        confusion={},
        labels=LABELS,
        task="multilabel",
        answers={"teacher": TEACHER, "student": STUDENT},
        targets=Y,
    )
    page = render(example_summary(), details)
    assert "Label by label" in page and "&lt;snow&gt;" in page and "<snow>" not in page


@pytest.mark.parametrize("metrics", [True, False])
def test_the_page_links_to_what_it_has(metrics):
    summary = of_regression(example_summary()) if metrics else example_summary()
    page = render(summary, example_details())
    assert ('href="#metrics"' in page) == ('id="metrics"' in page) == metrics
