"""Intervals against scipy's."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from edgekd.statistics import mean_interval, wilson_interval


@given(st.integers(1, 5000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_is_scipys(pair):
    right, n = pair
    expected = stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson_interval(right, n) == pytest.approx((expected.low, expected.high), abs=1e-9)


@given(st.lists(st.floats(-1e3, 1e3), min_size=2, max_size=20))
def test_mean_interval_is_scipys(values):
    mean, low, high = mean_interval(values)
    scale = stats.sem(values)
    if scale < 1e-9:
        assert mean - 13 * 1e-9 < low <= mean <= high  # Student's factor is at most 12.71
        return
    expected = stats.t.interval(0.95, len(values) - 1, loc=sum(values) / len(values), scale=scale)
    assert (low, high) == pytest.approx(expected, rel=1e-6, abs=1e-6)


def test_one_value_says_nothing_about_spread():
    assert mean_interval([3.0]) == (3.0, -math.inf, math.inf)


@pytest.mark.parametrize(("right", "n"), [(1, 0), (-1, 5), (6, 5)])
def test_what_is_no_share_is_refused(right, n):
    with pytest.raises(ValueError, match="not a share"):
        wilson_interval(right, n)


def test_no_values_have_no_mean():
    with pytest.raises(ValueError, match="no values"):
        mean_interval([])
