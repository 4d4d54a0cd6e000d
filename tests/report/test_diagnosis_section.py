"""The report's section on the layers of the int8 network."""

from __future__ import annotations

import pytest
from report_example import example_details, example_summary

from edgekd.report.diagnosis import decibels, diagnosis_section, hurting, table, told
from edgekd.report.page import render
from edgekd.results import LayerFigures, Summary


def layer(name: str, share: float, sqnr: float | None = 40.0, **more: object) -> LayerFigures:
    return LayerFigures.model_validate(
        {
            "seed": 0, "name": name, "operator": "conv2d", "sqnr_db": sqnr, "cosine": 0.9999,
            "share": share, "samples": 128, **more,
        }
    )  # fmt: skip


LAYERS = [
    layer("input", 0.02, 52.3, operator="input"),
    layer("stem.conv", 0.62, 21.04),
    *(layer(f"blocks.{i}.conv", 0.04) for i in range(9)),
]


@pytest.fixture
def summary() -> Summary:
    other_seed = layer("elsewhere", 1.0, seed=1)
    return example_summary().model_copy(update={"layers": [*LAYERS, other_seed]})


def test_the_page_names_the_layer_that_hurts(summary):
    page = render(summary, example_details())
    section = page.partition('<section id="layers">')[2].partition("</section>")[0]
    assert "On 128 validation samples" in section
    assert "<b>stem.conv</b>" in section
    assert "21.0 dB" in section
    assert "62.0 %" in section
    assert "elsewhere" not in section
    assert "Stay in float" not in section
    assert '<a href="#layers">' in page


def test_the_page_tells_what_auto_kept(summary):
    kept = [one.model_copy(update={"kept": ("head",)}) for one in LAYERS]
    settings = {**summary.settings, "quantize": {"keep_float": "auto"}}
    told_of = summary.model_copy(update={"layers": kept, "settings": settings})
    assert "beyond chance: <b>head</b>" in render(told_of, example_details())
    named = {**summary.settings, "quantize": {"keep_float": ["head"]}}
    found = diagnosis_section(told_of.model_copy(update={"settings": named}))
    assert found is not None
    assert found.kept == []


def test_a_run_without_int8_has_no_section():
    assert diagnosis_section(example_summary()) is None
    assert 'id="layers"' not in render(example_summary(), example_details())


def test_what_hurts_is_more_than_a_tenth_and_twice_the_mean():
    assert hurting(LAYERS) == ["stem.conv"]
    assert hurting([layer(str(i), 1 / 3) for i in range(3)]) == []
    assert hurting([]) == []
    assert "most of the error comes from stem.conv" in told(LAYERS)
    assert "keep_float: auto" in told(LAYERS)
    only_ends = [layer("input", 0.9, operator="input"), *(layer(str(i), 0.01) for i in range(9))]
    assert "keep_float" not in told(only_ends)
    assert "no layer makes much more" in told([layer(str(i), 0.1) for i in range(10)])


def test_the_table_in_a_terminal():
    head, first, second, *_ = table(LAYERS)
    assert head[:3] == ("layer", "operator", "SQNR")
    assert first == ("input", "input", "52.3 dB", "0.99990", "2.0%", "")
    assert second == ("stem.conv", "conv2d", "21.0 dB", "0.99990", "62.0%", "hurts")
    assert decibels(layer("a", 0.0, None)) == "exact"
