"""The report's section on where the time goes."""

from __future__ import annotations

import pytest
from report_example import example_details, example_summary

from edgekd.report.page import render
from edgekd.report.profile import NAME, SHOWN, of_types, profile_section, short
from edgekd.results import OperatorFigures, Summary


def operator(name: str, us: float, op: str = "Conv") -> OperatorFigures:
    return OperatorFigures(name=name, op=op, us=us, calls=100)


OPERATORS = [
    operator("stem", 60.0),
    *(operator(f"block{i}", 1.0) for i in range(SHOWN)),
    operator("head", 16.0, "Gemm"),
]


@pytest.fixture
def summary() -> Summary:
    example = example_summary()
    int8 = [row for row in example.bench if row.precision == "int8" and row.threads == 1]
    told = {
        int8[0].runtime: {"profile": OPERATORS},
        int8[1].runtime: {"profile_note": "this LiteRT is too old"},
    }
    rows = [
        row.model_copy(update=told[row.runtime]) if row in int8 else row for row in example.bench
    ]
    return example.model_copy(update={"bench": rows})


def test_the_page_draws_operators_and_says_why_there_are_none(summary):
    page = render(summary, example_details())
    part = page.partition('<section id="profile">')[2].partition("</section>")[0]
    assert '<a href="#profile">' in page
    assert "this LiteRT is too old" in part and part.count("<svg") == 1
    assert ">stem<" in part and ">60.0%<" in part and ">16.0%<" in part
    assert f"Drawn are the {SHOWN} of {len(OPERATORS)} operators that take longest." in part
    assert "By kind: Conv 84.0 %, Gemm 16.0 %." in part


def test_a_run_without_profiles_has_no_section():
    assert profile_section(example_summary()) == []
    assert 'id="profile"' not in render(example_summary(), example_details())


def test_kinds_and_names():
    assert of_types(OPERATORS) == [("Conv", pytest.approx(0.84)), ("Gemm", pytest.approx(0.16))]
    assert of_types([operator("a", 0.0)]) == [("Conv", 0.0)]
    assert short("x" * NAME) == "x" * NAME
    assert short("/model/" + "y" * NAME) == "…" + "y" * (NAME - 1)
