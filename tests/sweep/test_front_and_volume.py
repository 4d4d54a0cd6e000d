"""The front and its hypervolume against brute force."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.sweep.front import corners, covered, front_of, hypervolume


def points(dimensions: int, most: int = 7):
    """Points on a small grid, so that ties and equal points come up."""
    number = st.integers(0, 5).map(float)
    return st.lists(st.tuples(*[number] * dimensions), min_size=1, max_size=most)


def by_cells(found: list[tuple[float, ...]], reference: tuple[float, ...]) -> float:
    """Counts the unit cells of the grid that a point dominates."""
    cells = np.array(list(itertools.product(*(range(int(r)) for r in reference))))
    inside = np.zeros(len(cells), dtype=bool)
    for point in found:
        inside |= np.all(cells >= np.array(point), axis=1)
    return float(inside.sum())


@pytest.mark.parametrize("dimensions", [1, 2, 3, 4])
def test_hypervolume_is_the_count_of_dominated_cells(dimensions: int) -> None:
    @settings(max_examples=60, deadline=None)
    @given(points(dimensions))
    def check(found: list[tuple[float, ...]]) -> None:
        reference = (5.0,) * dimensions
        assert hypervolume(found, reference) == pytest.approx(by_cells(found, reference))

    check()


@settings(max_examples=100, deadline=None)
@given(points(3, 12))
def test_front_is_what_nothing_beats(found: list[tuple[float, ...]]) -> None:
    array = np.array(found)
    beaten = [
        bool(np.any(np.all(array <= row, axis=1) & np.any(array < row, axis=1))) for row in array
    ]
    kept = front_of(found)
    assert {found[k] for k in kept} == {p for p, out in zip(found, beaten, strict=True) if not out}
    assert len({found[k] for k in kept}) == len(kept)


def test_a_point_worse_than_the_reference_covers_nothing() -> None:
    assert hypervolume([(6.0, 0.0)], (5.0, 5.0)) == 0
    assert hypervolume([(5.0, 0.0)], (5.0, 5.0)) == 0


def test_share_of_the_box_has_no_units() -> None:
    found = [(0.02, 40_000.0), (0.10, 10_000.0)]
    ideal, reference = (0.0, 0.0), (0.2, 50_000.0)
    share = covered(found, ideal, reference)
    assert share == pytest.approx(hypervolume(found, reference) / (0.2 * 50_000))
    thousands = [(error, size / 1000) for error, size in found]
    assert covered(thousands, ideal, (0.2, 50.0)) == pytest.approx(share)


def test_an_objective_that_does_not_vary_is_left_out() -> None:
    found = [(0.1, 7.0), (0.3, 7.0)]
    assert covered(found, *corners(found)) == pytest.approx(1.0)
    assert covered([(1.0, 2.0)], (1.0, 2.0), (1.0, 2.0)) is None
