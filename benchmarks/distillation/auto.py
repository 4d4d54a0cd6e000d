"""`temperature: auto, weight: auto` against a grid of 20 whole trainings.

    python -m benchmarks.distillation.auto --data fsdd.zip --seeds 3

The grid has the settings that `auto` chooses from, each trained to the end; its winner is the best
on validation, of equals the one nearest to the default. Both choose anew for every seed. What it
costs is counted in epochs of the student. The best on test is shown too: nobody can choose it, but
no choice can do better.
"""

from __future__ import annotations

import argparse
from typing import Any

from benchmarks.common import Row, differences, finish, interval, mean_percent, points, started
from benchmarks.distillation.arms import accuracies, arm, name_of, parser, pipeline_of
from edgekd.config.methods import KDSettings
from edgekd.distill.tuning import candidates

AUTO = "{name: kd, temperature: auto, weight: auto}"
WITHIN = 0.003
COST = 0.25


def main() -> None:
    """Trains, writes and prints."""
    chosen = parser(__doc__, __file__).parse_args()
    start = started()
    grid = candidates(KDSettings(temperature="auto", weight="auto"))
    grid.sort(key=lambda candidate: not candidate.default)
    if chosen.quick:
        grid = grid[:2]
    runs = [
        arm(
            chosen, f"distill.method={{name: kd, temperature: {c.temperature}, weight: {c.weight}}}"
        )
        for c in grid
    ]
    tests, scores = [accuracies(r) for r in runs], [accuracies(r, on="validation") for r in runs]
    seeds = range(len(tests[0]))
    winner = [max(range(len(grid)), key=lambda k: scores[k][seed]) for seed in seeds]
    # One run a seed: a run over several chooses once, with the first.
    own = [arm(chosen, f"distill.method={AUTO}", f"seed={seed}", seeds=1) for seed in seeds]
    auto = [accuracies(summary)[0] for summary in own]
    whole = len(grid) * epochs(chosen)
    best = [tests[winner[seed]][seed] for seed in seeds]
    figures: dict[str, Any] = {
        "default": interval(tests[0]),
        "auto": interval(auto),
        "grid": interval(best),
        "oracle": interval([max(test[seed] for test in tests) for seed in seeds]),
        "auto_minus_grid": interval(differences(auto, best)),
        "auto_minus_default": interval(differences(auto, tests[0])),
        "cost": sum(t.epochs for s in own for t in s.tuning) / len(seeds) / whole,
    }
    finish(
        f"auto against a grid of {len(grid)}, {name_of(chosen)}",
        start,
        runs=f"{chosen.seeds} seeds",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures, len(grid)),
        results=chosen.results,
        name=f"auto-{name_of(chosen)}",
    )


def epochs(chosen: argparse.Namespace) -> int:
    """Of a whole training of the student."""
    pipeline = pipeline_of(name_of(chosen))
    return 1 if chosen.quick else int(pipeline["distill"]["train"]["epochs"])


def rows(figures: dict[str, Any], size: int) -> list[Row]:
    """The table."""
    gain = figures["auto_minus_grid"]
    default = points(figures["auto_minus_default"])
    return [
        Row("the method's defaults", mean_percent(figures["default"])),
        Row(f"best of a grid of {size}, on validation", mean_percent(figures["grid"])),
        Row(f"best of a grid of {size}, on test", mean_percent(figures["oracle"])),
        Row("auto", f"{mean_percent(figures['auto'])}; {default} to the defaults"),
        Row("auto - grid", points(gain), "within 0.3 points", gain["mean"] >= -WITHIN),
        Row(
            "epochs of auto's trials / epochs of the grid",
            f"{figures['cost']:.3f}",
            "≤ 0.25",
            figures["cost"] <= COST,
        ),
    ]


if __name__ == "__main__":
    main()
