"""Figures of a sweep, made up but plausible, for tests of the page."""

from __future__ import annotations

import math
import random

from edgekd.results import Estimate
from edgekd.sweep.front import front_of
from edgekd.sweep_results import ObjectiveFigures, PointFigures, SweepFigures, TrialFigures

WIDTHS = (0.25, 0.5, 0.75, 1.0)


def example(trials: int = 40) -> SweepFigures:
    """A sweep of width, temperature and rate; the same figures each time."""
    draw = random.Random(1)
    made = [_trial(number, draw) for number in range(trials)]
    ended = [t for t in made if t.state == "finished"]
    points = [(1 - (t.score or 0), t.values["size"], t.values["latency"]) for t in ended]
    front = {ended[k].number for k in front_of(points)}
    made = [t.model_copy(update={"front": t.number in front}) for t in made]
    best = sorted((t for t in made if t.front), key=lambda t: t.values["size"])
    return SweepFigures(
        pipeline="digits",
        date="2026-01-02T03:04:05+00:00",
        objectives=[
            ObjectiveFigures(name="accuracy", metric="accuracy"),
            ObjectiveFigures(name="latency", metric="us"),
            ObjectiveFigures(name="size", metric="bytes", limit=40_000),
        ],
        trials=made,
        front=[_point(place, trial) for place, trial in enumerate(best, start=1)],
        hypervolume=0.913,
        ideal=[0.01, 10.0, 9_000.0],
        reference=[0.2, 80.0, 40_000.0],
        importance={
            "accuracy": {"distill.train.learning_rate": 0.62, "student.model.width": 0.3,
                         "distill.method.temperature": 0.08},
            "latency": {"student.model.width": 1.0, "distill.train.learning_rate": 0.0,
                        "distill.method.temperature": 0.0},
            "size": {"student.model.width": 1.0, "distill.train.learning_rate": 0.0,
                     "distill.method.temperature": 0.0},
        },
        epochs_trained=sum(len(t.curve) for t in made),
        epochs_whole=sum(t.epochs for t in made if t.curve),
        seconds=512.0,
    )  # fmt: skip


def _trial(number: int, draw: random.Random) -> TrialFigures:
    width = draw.choice(WIDTHS)
    rate = 10 ** draw.uniform(-4, -1.5)
    setting = {
        "student.model.width": width,
        "distill.method.temperature": draw.uniform(1, 16),
        "distill.train.learning_rate": rate,
    }
    values = {"latency": 60 * width + 5, "size": 9_000 + 32_000 * width}
    if values["size"] > 40_000:
        reason = f"{values['size'] / 1000:.1f} kB, limit 40 kB"
        return TrialFigures(
            number=number, setting=setting, state="out", reason=reason, values=values
        )
    end = 0.8 + 0.1 * width + 0.09 * math.exp(-((math.log10(rate) + 2.3) ** 2))
    curve = [end * (1 - 0.6 * math.exp(-k / 4)) + draw.gauss(0, 0.002) for k in range(30)]
    stopped = end < 0.93 and number > 5
    curve = curve[: 4 if draw.random() < 0.6 else 10] if stopped else curve
    return TrialFigures(
        number=number,
        setting=setting,
        state="stopped" if stopped else "finished",
        score=max(curve),
        values=values,
        curve=curve,
        epochs=30,
        seconds=9.0,
    )


def _point(place: int, trial: TrialFigures) -> PointFigures:
    score = trial.score or 0.0
    return PointFigures(
        trial=trial.number,
        setting=trial.setting,
        pipeline=f"front/{place}.yaml",
        seeds=[0, 1, 2],
        score=Estimate(value=score - 0.002, low=score - 0.009, high=score + 0.005),
        scores=[score, score - 0.003, score - 0.003],
        values=trial.values,
        test=[score - 0.004] * 3,
        front=place != 2,
    )
