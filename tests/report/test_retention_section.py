"""The report on what was kept of the teacher, and on what the teacher brought."""

from __future__ import annotations

import io

import pytest
from report_example import accuracy, example_details, example_summary
from rich.console import Console

from edgekd.report import gains
from edgekd.report.page import render
from edgekd.report.retention import retention_section
from edgekd.report.terminal import summary_table
from edgekd.results import AdviceFigures, GainFigures, RetentionFigures, Summary


def kept(stage: str, right: int, precision: str = "float32", **lost: float) -> RetentionFigures:
    recall = [1.0 - lost.get(f"c{i}", 0.0) for i in range(9)] + [None]
    return RetentionFigures(
        stage=stage, seed=0, precision=precision, score=accuracy(right, 360, "torch"),
        retention=right / 356, agreement=0.9, agreement_low=0.87, agreement_high=0.93,
        divergence=0.1234, ece=0.0213, per_class=recall,
    )  # fmt: skip


def gain(stage: str, precision: str, low: float, seed: int | None = 0) -> GainFigures:
    return GainFigures(
        stage=stage, seed=seed, precision=precision, metric="accuracy", student=0.95,
        control=0.93, gain=0.02, low=low, high=0.05, n=360 if seed == 0 else 3,
        over="samples" if seed == 0 else "seeds",
    )  # fmt: skip


@pytest.fixture
def summary() -> Summary:
    return example_summary().model_copy(
        update={
            "retention": [
                kept("teacher", 356),
                kept("distill", 350, c3=0.1),
                kept("quantize", 340, "int8", c3=0.1, c5=0.25),
                kept("control-distill", 345, c1=0.5),
            ],
            "gain": [gain("distill", "float32", -0.01), gain("quantize", "int8", 0.004)],
        }
    )


def printed(summary: Summary) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    console.print(summary_table(summary))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_page_has_both_sections(summary):
    page = render(summary, example_details())
    for part in (
        'id="retention"', 'id="gain"', "digit 5: −25.0", "0.123", "2.1 %", "no gain shown",
        "better with the teacher", "Control, distilled", "paired by test sample",
    ):  # fmt: skip
        assert part in page, part


def test_the_plot_shows_the_classes_that_were_lost(summary):
    section = retention_section(summary, example_details().labels)
    assert section is not None
    assert (
        "recall of each class at the end, in points: digit 5 −25.0; digit 3 −10.0" in section.plot
    )
    assert section.left_out == 7  # 9 classes with test samples
    assert "digit 1" not in section.plot  # only the control lost it


def test_without_students_there_is_no_section(summary):
    alone = summary.model_copy(update={"retention": summary.retention[:1], "gain": []})
    page = render(alone, example_details())
    assert 'id="retention"' not in page
    assert 'id="gain"' not in page


def test_the_terminal_states_the_gain_in_float_and_int8(summary):
    text = printed(summary)
    assert "No gain shown, float: +2.0 points (−1.0 to +5.0 by 360 test samples)" in text
    assert "Gain by the teacher, int8: +2.0 points (+0.4 to +5.0 by 360 test samples)" in text


def test_several_seeds_are_told_by_their_mean(summary):
    rows = [*summary.gain, gain("quantize", "int8", 0.001, seed=None)]
    several = summary.model_copy(update={"gain": rows})
    assert [row.seed for row in gains.told(several)] == [None]
    assert "(+0.1 to +5.0 over 3 seeds)" in printed(several)


def test_the_control_arm_is_never_the_final_model(summary):
    control = summary.models[3].model_copy(update={"stage": "control-quantize", "format": "tflite"})
    more = summary.model_copy(update={"models": [*summary.models, control]})
    assert printed(more) == printed(summary)


def test_advice_stands_on_the_page_and_in_the_terminal(summary):
    row = AdviceFigures(
        limit="capacity", finding="It has no room for <more>.",
        evidence={"train": 0.93, "epochs": 60, "gain": -0.01}, stake=0.02,
        advice="Take a wider student.", setting="student.model.width=0.75",
    )  # fmt: skip
    more = summary.model_copy(update={"advice": [row, row]})
    page = render(more, example_details())
    assert "no room for &lt;more&gt;." in page
    assert "<code>--set 'student.model.width=0.75'</code>" in page
    assert "student, training samples 93.0 %; epochs 60; gain by the teacher −1.0 %" in page
    text = printed(more)
    assert "limit   It has no room for <more>. (1 more in the report)" in text
    assert "--set 'student.model.width=0.75'" in text
