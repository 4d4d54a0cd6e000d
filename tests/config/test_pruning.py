"""Settings of pruning: what goes together, units, and the steps' limits."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgekd.config.pipeline import Pipeline
from edgekd.config.pruning import PruneSettings


@pytest.mark.parametrize(
    ("target", "limit", "means"),
    [
        ("bytes", "40 kB", 40_000),
        ("bytes", 12_345, 12_345),
        ("latency", "2 ms", 2000),
        ("macs", 3_000_000, 3_000_000),
        ("parameters", 5000, 5000),
    ],
)
def test_limits_have_their_units(target: str, limit: Any, means: float) -> None:
    settings = PruneSettings.model_validate({"target": target, "limit": limit})
    assert settings.limit == means
    again = PruneSettings.model_validate(settings.model_dump(mode="json"))
    assert again == settings


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ({"keep": 0.4, "limit": 5}, "either `keep` or `limit`"),
        ({"target": "bytes", "limit": "40 ms"}, "kB"),
        ({"limit": "40 kB"}, "limit` of macs is a plain number"),
        ({"limit": 0}, "greater than 0"),
        ({"sparsity": "2:4"}, "only whole channels are pruned"),
        ({"importance": "hesian"}, "hessian"),
        ({"steps": 0}, "greater than 0"),
    ],
)
def test_what_does_not_go_together_is_told(raw: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Pipeline.model_validate({"name": "a", "prune": raw})


@given(
    steps=st.integers(1, 9),
    keep=st.floats(0.05, 0.95),
    schedule=st.sampled_from(["cubic", "linear"]),
    before=st.floats(10, 1e9),
)
def test_steps_go_down_to_the_share(steps: int, keep: float, schedule: Any, before: float) -> None:
    limits = PruneSettings(keep=keep, steps=steps, schedule=schedule).limits(before)
    assert len(limits) == steps
    assert limits[-1] == pytest.approx(keep * before)
    assert all(a > b for a, b in zip([before, *limits], limits, strict=False))


def test_schedules_are_those_of_their_equations() -> None:
    cubic = PruneSettings(keep=0.2, steps=4).limits(100)
    assert cubic == pytest.approx([20 + 80 * (1 - t) ** 3 for t in (0.25, 0.5, 0.75, 1)])
    linear = PruneSettings(limit=20, steps=4, schedule="linear").limits(100)
    assert linear == pytest.approx([80, 60, 40, 20])


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"export": {"metadata": {}}}, "export.metadata"),
        ({"export": {"preprocess": "baked"}}, "baked"),
        ({"quantize": {"keep_float": "auto"}}, "keep_float"),
    ],
)
def test_a_size_is_measured_of_the_file_that_is_deployed(more: dict, says: str):
    raw = {"name": "p", "quantize": "qat", "prune": {"target": "bytes", "limit": "40 kB"}, **more}
    with pytest.raises(ValidationError, match=says):
        Pipeline.model_validate(raw)
