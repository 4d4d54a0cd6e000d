"""Three teachers against the best one of them: the same student, steps and views.

    python -m benchmarks.distillation.several_teachers --data fsdd.zip --seeds 5

The best single teacher is the one with the highest validation accuracy, seed by seed; of equals the
one named first. An epoch of the student costs the same, because answers are cached; the teachers'
own training is three times that of one.
"""

from __future__ import annotations

from typing import Any

from benchmarks.common import Row, differences, finish, interval, mean_percent, points, started
from benchmarks.distillation.arms import accuracies, arm, name_of, parser

TEACHERS = {
    "resnet8": "resnet8",
    "dscnn": "dscnn",
    "mobilenet_v1 x 0.25": "{name: mobilenet_v1, width: 0.25}",
}
"""Networks of three families, so that they err in different places."""
SPOKEN = "{epochs: 12, batch_size: 64, learning_rate: 4.0e-3}"
TRAIN = {
    "strangers": SPOKEN,
    "spoken-digits": SPOKEN,
    "cifar10": "{epochs: 20, optimizer: sgd, learning_rate: 0.1, weight_decay: 5.0e-4, "
    "schedule: one_cycle}",
}
WEIGHTS = ("average", "score", "confidence")


def main() -> None:
    """Trains, writes and prints."""
    chosen = parser(__doc__, __file__).parse_args()
    start = started()
    name = name_of(chosen)
    train = "{epochs: 1}" if chosen.quick else TRAIN[name]
    teachers = [f"{{model: {model}, train: {train}}}" for model in TEACHERS.values()]
    singles = [arm(chosen, f"teacher={teacher}") for teacher in teachers]
    scores = [accuracies(summary, "teacher", on="validation") for summary in singles]
    tests = [accuracies(summary) for summary in singles]
    names, seeds = list(TEACHERS), range(len(scores[0]))
    best = [max(range(len(TEACHERS)), key=lambda k: scores[k][seed]) for seed in seeds]
    single = [tests[best[seed]][seed] for seed in seeds]
    figures: dict[str, Any] = {
        "best": [names[k] for k in best],
        "single": interval(single),
        "of_each": {
            model: {
                "teacher": interval(accuracies(summary, "teacher")),
                "student": interval(accuracies(summary)),
            }
            for model, summary in zip(TEACHERS, singles, strict=True)
        },
    }
    for weights in WEIGHTS:
        several = arm(
            chosen,
            f"teachers=[{', '.join(teachers)}]",
            f"teacher_weights={weights}",
            without=["teacher"],
        )
        found = accuracies(several)
        figures[weights] = {
            "test": interval(found),
            "minus_best_single": interval(differences(found, single)),
        }
    finish(
        f"Three teachers against the best one, {name}",
        start,
        runs=f"{chosen.seeds} seeds",
        quick=chosen.quick,
        figures=figures,
        rows=rows(figures),
        results=chosen.results,
        name=f"several-teachers-{name}",
    )


def rows(figures: dict[str, Any]) -> list[Row]:
    """The table."""
    found = [
        Row(
            f"{model} as the only teacher",
            f"teacher {mean_percent(figure['teacher'])}, student {mean_percent(figure['student'])}",
        )
        for model, figure in figures["of_each"].items()
    ]
    found.append(Row("student of the best single teacher", mean_percent(figures["single"])))
    for weights in WEIGHTS:
        figure = figures[weights]
        gain = points(figure["minus_best_single"])
        told = f"{mean_percent(figure['test'])}; {gain} to the best single"
        found.append(Row(f"all three, weights: {weights}", told))
    return found


if __name__ == "__main__":
    main()
