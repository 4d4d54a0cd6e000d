"""The benchmark of sweeps: its files are right, and its figures are those of the same settings."""

from __future__ import annotations

import pytest

from benchmarks.search.sweep import HERE, QUICK, _against, _cost_rows
from edgekd.config.load import load_pipeline
from edgekd.sweep.objectives import check_objectives
from edgekd.sweep.space import check_space, load_search, size_of
from edgekd.sweep_results import SweepFigures, TrialFigures


def trial(number: int, score: float, size: float, state: str = "finished") -> TrialFigures:
    return TrialFigures(
        number=number,
        setting={"width": size},
        state=state,  # type: ignore[arg-type]
        score=score,
        values={"size": size},
    )


def test_its_space_is_a_grid_of_200_that_the_pipeline_takes() -> None:
    search = load_search(HERE / "search.yaml")
    assert size_of(search) == 200
    for overrides in ((), QUICK):
        pipeline, base = load_pipeline(HERE / "digits.yaml", overrides)
        check_objectives(search, pipeline, base)
        check_space(search, pipeline, HERE / "digits.yaml", overrides)


def test_the_sweep_is_compared_in_the_figures_of_the_grid() -> None:
    grid = [trial(k, 0.9 + 0.02 * k, 10.0 * (k + 1)) for k in range(4)]
    assert _against(grid, grid)["share"] == pytest.approx(1)
    luckier = [trial(0, 1.0, 10.0), trial(1, 0.5, 20.0, "stopped")]
    found = _against(luckier, grid)  # its own score does not count, and what ended early neither
    assert found["sweep_hypervolume"] == pytest.approx(0)
    two = _against([grid[1], grid[2]], grid)
    assert two["sweep_hypervolume"] == pytest.approx(1 / 3 * 2 / 3 + 1 / 3 * 1 / 3)


def test_the_cost_is_that_of_as_many_runs() -> None:
    found = SweepFigures(
        pipeline="x", date="", objectives=[], trials=[trial(k, 0.9, 1.0) for k in range(40)],
        front=[], hypervolume=None, ideal=[], reference=[], importance={}, epochs_trained=10,
        epochs_whole=20, seconds=1.0,
    )  # fmt: skip
    figures = {"sweep_seconds": 400.0, "separate_seconds": [40.0, 60.0], "cost": 0.2}
    rows = _cost_rows(figures, found)
    assert rows[-1].reached == "1/5.0 (0.200)"
    assert rows[-1].ok
