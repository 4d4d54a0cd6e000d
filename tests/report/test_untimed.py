"""Devices without times: the report says so, and a limit of time there is unverified."""

from __future__ import annotations

from pathlib import Path

from report_example import example_details, example_summary

from edgekd.config.load import load_pipeline
from edgekd.report import figures
from edgekd.report.page import render
from edgekd.results import BenchFigures, BudgetFigures, Summary
from edgekd.summary import budget, missed_budget


def emulated(row: BenchFigures) -> BenchFigures:
    nothing = {"latency_us": None, "load_ms": None, "first_us": None}
    counted = {"emulated": "cortex-a53", "instructions": 1_254_000}
    return row.model_copy(update={"device": "arm64-emulator", **nothing, **counted})


def with_emulator(summary: Summary) -> Summary:
    """The same, also measured in an emulator, which came first."""
    rows = [row for row in summary.bench if row.threads == 1]
    return summary.model_copy(update={"bench": [*map(emulated, rows), *summary.bench]})


def test_the_page_shows_no_time_of_it():
    name = "latency p50 on arm64-emulator, 1 thread"
    limit = BudgetFigures(name=name, limit=2_000, value=None, unit="us", ok=False)
    summary = with_emulator(example_summary()).model_copy(update={"budget": [limit]})
    text = render(summary, example_details())
    part = text.partition("On arm64-emulator")[2].partition("</table>")[0]
    assert part.count("emulated: it has no times") == part.count('<th scope="row"') > 0
    assert part.startswith(", cortex-a53 in QEMU<")
    assert part.count("1.25 M instructions an inference") == part.count('<th scope="row"')
    assert "µs" not in part and " ms" not in part
    assert "against latency on local" in text and "against latency on arm64" not in text
    assert f"{name} unverified" in text and "missed or unverified" in text


def test_the_headline_is_that_of_the_device_with_times():
    summary = example_summary()
    assert figures.headline(with_emulator(summary)) == figures.headline(summary)


def test_a_limit_of_time_there_is_unverified():
    overrides = [
        "budget={latency: {device: arm64-emulator, p50: 2 ms}}",
        "bench.devices=[local, arm64-emulator]",
    ]
    pipeline, _ = load_pipeline("digits", overrides)
    form, precision = pipeline.deployed_format, pipeline.deployed_precision
    example = example_summary()
    base = next(m for m in example.models if (m.format, m.precision) == (form, precision))
    model = base.model_copy(update={"stage": "student"})
    timed = next(row for row in example.bench if row.threads == 1)
    there = timed.model_copy(update={"model": model.path, "stage": "student"})
    for bench in ([there], [there, emulated(there)]):  # not reached, and emulated
        (row,) = budget(pipeline, [model], bench)
        assert row.value is None and not row.ok and row.verdict == "unverified"
    assert budget(pipeline, [model], []) == []  # not measured at all: there is no verdict yet
    summary = example.model_copy(update={"budget": [row]})
    assert "unverified, limit 2.000 ms" in missed_budget(summary, Path("run")).what


def test_verdicts():
    def of(value: float | None, ok: bool) -> str:
        return BudgetFigures(name="size", limit=4, value=value, unit="bytes", ok=ok).verdict

    assert [of(3, True), of(5, False), of(None, False)] == ["kept", "missed", "unverified"]
