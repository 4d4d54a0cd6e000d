"""The terminal's rows: units, digits, columns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.bench.table import HEADER, duration, format_bench, size
from edgekd.results import Accuracy, BenchFigures, Latency

TIMED = tuple(name for name in HEADER if name not in ("energy", "instructions", "as here"))
ONE_PROCESS = tuple(name for name in TIMED if name != "± 95 %")


def row(device: str = "local", accuracy: Accuracy | None = None) -> BenchFigures:
    return BenchFigures(
        model="export-1/int8.tflite",
        stage="student",
        seed=0,
        precision="int8",
        runtime="litert",
        device=device,
        threads=2,
        latency_us=Latency(p50=12.34, p90=1234.5, p99=2e3, mean=100, std=3, n=200),
        load_ms=1,
        first_us=20,
        peak_rss_bytes=50_000_000,
        rss_growth_bytes=1_234_567,
        bytes=40_321,
        accuracy=accuracy,
    )


@pytest.mark.parametrize(
    ("us", "text"),
    [
        (0.5, "0.50 µs"),
        (9.996, "10.0 µs"),
        (99.96, "100 µs"),
        (999.4, "999 µs"),
        (999.6, "1.00 ms"),
        (1234.5, "1.23 ms"),
        (2.05e6, "2.05 s"),
        (5e9, "5000 s"),
    ],
)
def test_durations(us, text):
    assert duration(us) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (40_321, "40.3 kB"),
        (999_499, "999 kB"),
        (999_500, "1.00 MB"),
        (1.5e9, "1.50 GB"),
    ],
)
def test_sizes(count, text):
    assert size(count) == text


@given(st.floats(0.01, 9e8))
def test_durations_are_right_within_half_a_digit(us):
    number, unit = duration(us).split()
    assert re.fullmatch(r"\d\.\d\d|\d\d\.\d|\d\d\d", number)
    factor = {"µs": 1.0, "ms": 1e3, "s": 1e6}[unit]
    assert float(number) * factor == pytest.approx(us, rel=0.0051, abs=0.0051)


def test_rows():
    share = Accuracy(value=0.989, low=0.9703, high=0.996, n=270, runtime="litert", split="test")
    header, first, second = format_bench([row(accuracy=share), row()])
    assert header == ONE_PROCESS and len(first) == len(second) == len(header)
    assert dict(zip(header, first, strict=True)) == {
        "model": "student int8.tflite",
        "runtime": "litert",
        "threads": "2",
        "p50": "12.3 µs",
        "p90": "1.23 ms",
        "memory": "1.23 MB",
        "size": "40.3 kB",
        "accuracy": "98.9% [97.0, 99.6]",
    }
    assert second[-1] == "–"


def test_another_device_is_told_how_often_it_answers_as_this_machine():
    share = Accuracy(value=0.989, low=0.9703, high=0.996, n=1270, runtime="litert", split="test")
    there = row("pi", share).model_copy(update={"same_answers": 1268})
    header, first, second = format_bench([there, row("local", share)])
    place = header.index("as here")
    assert (first[place], second[place]) == ("1,268 of 1,270", "–")


def test_several_processes_have_an_interval():
    times = Latency(p50=100, p90=120, p99=130, mean=101, std=3, n=9, p50_low=98, p50_high=102)
    several = row().model_copy(update={"processes": 5, "latency_us": times})
    header, first, second = format_bench([several, row()])
    assert header == TIMED[:-1]
    place = header.index("± 95 %")
    assert (first[place], second[place]) == ("2.0%", "–")


def test_a_device_column_only_where_there_are_several():
    assert format_bench([row(), row()])[0] == ONE_PROCESS[:-1], "no accuracy was measured"
    table = format_bench([row("pi"), row("local")])
    assert [line[-1] for line in table] == ["device", "pi", "local"]
