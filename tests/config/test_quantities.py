"""Numbers with units."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from edgekd.config.quantities import Bytes, Fraction, Microseconds

BYTES, TIME, SHARE = TypeAdapter(Bytes), TypeAdapter(Microseconds), TypeAdapter(Fraction)


@pytest.mark.parametrize(
    ("text", "value"),
    [("40 kB", 40_000), ("40KiB", 40_960), ("1.5 MB", 1_500_000), ("17 B", 17), (300, 300)],
)
def test_bytes(text, value):
    assert BYTES.validate_python(text) == value


@pytest.mark.parametrize(("text", "value"), [("2 ms", 2000), ("800us", 800), ("1 s", 1e6)])
def test_microseconds(text, value):
    assert TIME.validate_python(text) == pytest.approx(value)


@pytest.mark.parametrize(("text", "value"), [("97 %", 0.97), ("0.5 points", 0.005), (0.9, 0.9)])
def test_fraction(text, value):
    assert SHARE.validate_python(text) == pytest.approx(value)


@pytest.mark.parametrize("text", ["40", "40 kg", "kB", "-3 kB", "1 2 kB", True, None, "nan kB"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(ValidationError):
        BYTES.validate_python(text)


def test_a_share_above_one_is_refused():
    with pytest.raises(ValidationError):
        SHARE.validate_python("120 %")


@given(st.floats(0, 1e9, allow_nan=False), st.sampled_from(["us", "ms", "s"]))
def test_units_scale(number, unit):
    factor = {"us": 1, "ms": 1e3, "s": 1e6}[unit]
    assert TIME.validate_python(f"{number!r} {unit}") == pytest.approx(number * factor)
