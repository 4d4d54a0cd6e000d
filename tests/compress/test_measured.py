"""The search for the largest network whose file keeps a limit, on files of a known formula."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from edgekd.compress.measured import Cut, down_to
from edgekd.errors import StageError


class Sized(nn.Module):
    def __init__(self, count: float) -> None:
        super().__init__()
        self.count = count


class Files:
    """Networks whose count is a multiple of `step`, and whose file is `fixed` + count * `each`."""

    def __init__(self, fixed: float, each: float, step: int, bend: float = 1.0) -> None:
        self.fixed, self.each, self.step, self.bend = fixed, each, step, bend
        self.measured: list[float] = []

    def cut(self, limit: float) -> Cut:
        count = max(self.step, math.floor(limit / self.step) * self.step)
        return Cut(Sized(count), count)

    def size(self, count: float) -> float:
        return self.fixed + self.each * count**self.bend

    def measure(self, model: nn.Module) -> float:
        assert isinstance(model, Sized)
        self.measured.append(model.count)
        return self.size(model.count)

    def search(self, limit: float, count: float) -> float:
        before = self.size(count)
        found = down_to(limit, before, count, self.cut, self.measure, "bytes")
        assert isinstance(found, Sized)
        return found.count


@given(
    share=st.floats(0.2, 0.95),
    fixed=st.floats(0, 30_000),
    step=st.integers(100, 3000),
    bend=st.floats(0.8, 1.1),
)
@settings(max_examples=200, deadline=None)
def test_the_limit_is_kept_in_few_measurements(share, fixed, step, bend):
    files = Files(fixed, 1.1, step, bend)
    count = 100_000
    least = files.size(step)
    limit = least + share * (files.size(count) - least)
    found = files.search(limit, count)
    assert files.size(found) <= limit
    assert len(files.measured) <= 10
    assert files.size(found) >= 0.9 * limit or files.size(found + 2 * step) > limit


def test_a_straight_line_is_hit_at_the_second_measurement():
    files = Files(8000, 1.0, 10)
    assert files.size(files.search(40_000, 100_000)) == pytest.approx(40_000, rel=0.02)
    assert len(files.measured) == 2


def test_a_file_that_keeps_the_limit_is_left_whole():
    files = Files(8000, 1.0, 10)
    assert files.search(200_000, 100_000) == 100_000
    assert files.measured == []


def test_a_limit_below_the_smallest_file_is_told_with_both_sizes():
    files = Files(8000, 1.0, 10_000)
    with pytest.raises(StageError, match=r"down to 12\.0 kB") as caught:
        files.search(12_000, 100_000)
    assert "108.0 kB" in caught.value.where and "18.0 kB" in caught.value.where
