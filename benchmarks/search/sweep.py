"""A sweep of 40 trials on digits against 40 separate runs, and against a full grid of 200.

    python -m benchmarks.search.sweep
    python -m benchmarks.search.sweep --grid

What 40 separate runs cost is not measured by 40 runs: each trains the same teacher, makes the same
soft labels and its own student to the end, and exports and measures it. `--separate N` makes so
many of the sweep's own settings as runs of their own, each in an empty folder; their mean is the
cost of one. Seconds are of the processor, of this process and its children: other work on the
machine makes them little longer, where it doubles those of the clock.

The grid trains every setting to its end, with what all share made once. The sweep's front and the
grid's are compared in the grid's figures, so that a setting counts the same in both: the
hypervolume of the sweep's settings by that of all 200, in the box from the grid's best to its worst
figures.
"""

from __future__ import annotations

import json
import resource
import shutil
import tempfile
from pathlib import Path
from typing import Any

import edgekd
from benchmarks.common import Row, finish, options, started
from edgekd.config.load import read_yaml
from edgekd.report.terminal import PlainProgress
from edgekd.store import write_json
from edgekd.sweep.command import sweep
from edgekd.sweep.front import corners, covered
from edgekd.sweep.space import encoded, load_search, overrides_of
from edgekd.sweep_results import SweepFigures, TrialFigures

HERE = Path(__file__).resolve().parent
COST, COVERED = 1 / 5, 0.95
QUICK = ("teacher.train.epochs=2", "distill.train.epochs=3", "data.augment.views=2")


def main() -> None:
    """Searches, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: 4 trials of 3 epochs")
    parser.add_argument("--separate", type=int, default=2, help="separate runs to measure")
    parser.add_argument("--grid", action="store_true", help="also the full grid of 200")
    chosen = parser.parse_args()
    start = started()
    folder = Path(tempfile.mkdtemp(prefix="search-", dir=_made(chosen.work)))
    trials = 4 if chosen.quick else None
    before = spent()
    found = _sweep(HERE / "search.yaml", folder / "sweep", trials, chosen.quick).figures
    seconds = spent() - before
    separate = _separate(found, folder, 1 if chosen.quick else chosen.separate, chosen.quick)
    figures: dict[str, Any] = {
        "sweep_seconds": seconds,
        "separate_seconds": separate,
        "cost": seconds / (len(found.trials) * sum(separate) / len(separate)),
        "epochs_trained": found.epochs_trained,
        "epochs_whole": found.epochs_whole,
        "trials": [t.model_dump(mode="json", exclude={"curve"}) for t in found.trials],
    }
    rows = _cost_rows(figures, found)
    if chosen.grid:
        grid = _grid(folder, chosen.quick)
        figures |= _against(found.trials, grid)
        rows += _grid_rows(figures, len(grid))
    finish(
        "A sweep of 40 trials on digits",
        start,
        runs="one sweep",
        quick=chosen.quick,
        figures=figures,
        rows=rows,
        results=chosen.results,
    )
    shutil.rmtree(folder, ignore_errors=True)


def spent() -> float:
    """Seconds of the processor, of this process and of its children that have ended."""
    both = (resource.getrusage(w) for w in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(used.ru_utime + used.ru_stime for used in both)


def _made(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def _sweep(search: Path, runs: Path, trials: int | None, quick: bool) -> Any:
    return sweep(
        str(HERE / "digits.yaml"),
        search,
        overrides=QUICK if quick else (),
        runs=runs,
        trials=trials,
        progress=PlainProgress(),
    )


def _separate(found: SweepFigures, folder: Path, count: int, quick: bool) -> list[float]:
    """Seconds of runs of their own, of settings spread over the sweep's."""
    search = load_search(HERE / "search.yaml")
    step = max(1, len(found.trials) // count)
    seconds = []
    for number, trial in enumerate(found.trials[::step][:count]):
        own = overrides_of(encoded(trial.setting, search), search)
        before = spent()
        edgekd.run(
            HERE / "digits.yaml",
            overrides=[*(QUICK if quick else ()), *own],
            runs=folder / f"separate-{number}",
            progress=PlainProgress(),
        )
        seconds.append(spent() - before)
    return seconds


def _grid(folder: Path, quick: bool) -> list[TrialFigures]:
    """Every setting, trained to its end."""
    raw, _ = read_yaml(HERE / "search.yaml")
    path = folder / "grid.yaml"
    write_json(path, {**raw, "trials": 6 if quick else 200, "early_stop": False})  # JSON is YAML
    return _sweep(path, folder / "grid", None, quick).figures.trials


def _against(trials: list[TrialFigures], grid: list[TrialFigures]) -> dict[str, Any]:
    """The sweep's finished settings against all, in the grid's figures."""
    points = {_key(t): (1 - (t.score or 0.0), t.values["size"]) for t in grid}
    own = [points[_key(t)] for t in trials if t.state == "finished" and _key(t) in points]
    ideal, worst = corners(list(points.values()))
    whole, part = (covered(p, ideal, worst) or 0.0 for p in (list(points.values()), own))
    return {"grid_hypervolume": whole, "sweep_hypervolume": part, "share": part / whole}


def _key(trial: TrialFigures) -> str:
    return json.dumps(trial.setting, sort_keys=True)


def _cost_rows(figures: dict[str, Any], found: SweepFigures) -> list[Row]:
    one = sum(figures["separate_seconds"]) / len(figures["separate_seconds"])
    states = [trial.state for trial in found.trials]
    return [
        Row(
            f"sweep of {len(states)} trials, seconds of the processor",
            f"{figures['sweep_seconds']:.0f} s: {states.count('finished')} trained to their end, "
            f"{states.count('stopped')} ended early",
        ),
        Row(
            "epochs of students that were trained",
            f"{found.epochs_trained} of {found.epochs_whole}",
        ),
        Row(
            f"a separate run (mean of {len(figures['separate_seconds'])}), likewise",
            f"{one:.0f} s",
        ),
        Row(
            f"sweep / {len(states)} separate runs",
            f"1/{1 / figures['cost']:.1f} ({figures['cost']:.3f})",
            "≤ 1/5",
            figures["cost"] <= COST,
        ),
    ]


def _grid_rows(figures: dict[str, Any], size: int) -> list[Row]:
    return [
        Row(
            f"hypervolume of the sweep's front / that of the grid of {size}",
            f"{100 * figures['share']:.1f} %",
            "≥ 95 %",
            figures["share"] >= COVERED,
        )
    ]


if __name__ == "__main__":
    main()
