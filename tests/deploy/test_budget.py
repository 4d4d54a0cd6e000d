"""Budgets in a line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.config.budget import BudgetSettings
from edgekd.config.load import validate
from edgekd.deploy.budget import budget_fields, parse_budget
from edgekd.errors import ConfigError


def test_size_time_and_loss():
    budget = parse_budget("40 kB, 2 ms, -1 %")
    assert budget.size == 40_000
    assert budget.accuracy_drop == pytest.approx(0.01)
    (limit,) = budget.latency
    assert (limit.device, limit.threads, limit.p50, limit.p90) == ("local", 1, 2000.0, None)


def test_percentiles_devices_and_threads():
    budget = parse_budget("p90 3 ms on pi4 4 threads,800us on pi4, accuracy 97 %")
    first, second = budget.latency
    assert (first.p90, first.p50, first.device, first.threads) == (3000.0, None, "pi4", 4)
    assert (second.p50, second.device, second.threads) == (800.0, "pi4", 1)
    assert budget.accuracy == pytest.approx(0.97)


@given(
    size=st.integers(1, 10**6),
    unit=st.sampled_from(["B", "kB", "KiB", "MB"]),
    time=st.one_of(st.none(), st.floats(0.01, 1000).map(lambda value: round(value, 2))),
    drop=st.one_of(st.none(), st.integers(0, 100)),
    gap=st.sampled_from(["", " ", "  "]),
    minus=st.sampled_from(["-", "−"]),
    order=st.randoms(use_true_random=False),
)
def test_what_is_written_is_what_is_read(size, unit, time, drop, gap, minus, order):
    parts = [f"{size}{gap}{unit}"]
    if time is not None:
        parts.append(f"{time:.2f}{gap}ms")
    if drop is not None:
        parts.append(f"{minus}{drop}{gap}%")
    order.shuffle(parts)
    budget = parse_budget(f"{gap},{gap}".join(parts))
    factor = {"B": 1, "kB": 1000, "KiB": 1024, "MB": 10**6}[unit]
    assert budget.size == size * factor
    assert [limit.p50 for limit in budget.latency] == (
        [] if time is None else [pytest.approx(time * 1000)]
    )
    assert budget.accuracy_drop == (None if drop is None else pytest.approx(drop / 100))
    # what the pipeline file says is the same budget
    assert validate(BudgetSettings, budget_fields(budget)) == budget


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no limit"),
        ("40 kilo", "kilo is no unit"),
        ("1 %", "-1 % (lost at most)"),
        ("40 kB, 50 kB", "twice"),
        ("-40 kB", "no limit"),
        ("p75 2 ms", "p50 2 ms or p90 3 ms"),
        ("40 kB on pi4", "only a time"),
        ("-1 %", "neither a size nor a time"),
        ("40 kB; 2 ms", "no limit"),
        ("40 kB, -200 %", "accuracy_drop"),
    ],
)
def test_what_is_not_understood_is_told(text, why):
    with pytest.raises(ConfigError) as caught:
        parse_budget(text)
    assert why in str(caught.value)
