"""How a bound on time is spent, with a clock that only tests turn."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekd.deploy.timing import (
    LEAST_QAT,
    MARGIN,
    MOST_EPOCHS,
    MOST_FINETUNE,
    MOST_QAT,
    Caps,
    Costs,
    entrants,
    halving,
    least_minutes,
    plan_epochs,
    worth_trials,
)
from edgekd.deploy.watch import Clock, OutOfTime, Watched
from edgekd.progress import Epoch, Progress
from edgekd.propose.candidates import COPY, Candidate

seconds = st.floats(0.01, 500)


@given(left=st.floats(-100, 5000), epoch=seconds, qat=seconds, finish=seconds)
def test_a_plan_keeps_the_time_and_trains_in_any_case(left, epoch, qat, finish):
    costs = Costs(epoch, qat, finish)
    plan = plan_epochs(left, costs, MOST_EPOCHS)
    assert 1 <= plan.train <= MOST_EPOCHS
    assert plan.qat == 0 or LEAST_QAT <= plan.qat <= MOST_QAT
    used = plan.train * epoch + plan.qat * qat + finish
    if plan.train > 1 or plan.qat:
        assert used <= left + 1e-6
    if plan.train < MOST_EPOCHS and plan.train > 1:  # one more would not have fitted
        assert used + epoch > left - MARGIN * (left - finish) - 1e-6


def test_plans_by_hand():
    assert plan_epochs(1000, Costs(10, 30, 100), 60).qat == 6  # (1000 - 100) 0.9 / 4 = 202 s
    assert plan_epochs(1000, Costs(10, 30, 100), 60).train == 60  # 810 - 180 = 630 s
    assert plan_epochs(400, Costs(10, 30, 100), 60).train == 21  # 270 - 60 = 210 s
    assert plan_epochs(200, Costs(10, 30, 100), 60).qat == 0  # 22 s are less than 2 epochs
    assert plan_epochs(200, Costs(10, 30, 100), 0).qat == 3  # nothing else to train
    assert plan_epochs(50, Costs(10, 30, 100), 60).train == 1


def test_the_least_bound_holds_an_epoch_and_the_end():
    assert least_minutes(120, epoch=30, end=60) == 4  # 120 + 90 / 0.9 = 220 s
    assert least_minutes(120, epoch=0, end=100) == 4  # 120 + 111 s
    assert least_minutes(0, epoch=1, end=1) == 1


def test_caps_bound_the_work_beside_the_time():
    zoo, whole, pruned = Candidate("resnet8", 1), Candidate(COPY, 1), Candidate(COPY, 0.5)
    free, capped = Caps(), Caps(epochs=3)
    assert [free.epochs_of(c) for c in (zoo, whole, pruned)] == [MOST_EPOCHS, 0, MOST_FINETUNE]
    assert [capped.epochs_of(c) for c in (zoo, whole, pruned)] == [3, 0, 3]
    assert (free.qat, capped.qat) == (MOST_QAT, 3)
    plan = plan_epochs(10_000, Costs(1, 1, 1), 1, 1)
    assert (plan.train, plan.qat) == (1, 1)


@pytest.mark.parametrize(
    ("candidates", "time", "least", "expected"),
    [
        (6, 600, 10, 4),
        (3, 50, 10, 3),
        (4, 50, 10, 3),
        (4, 20, 10, 2),
        (4, 19, 10, 1),
        (1, 900, 1, 1),
    ],
)
def test_as_many_try_as_the_time_holds(candidates, time, least, expected):
    # 4 candidates make 4 + 2 trainings, 3 make 3 + 2, 2 make 2
    assert entrants(candidates, time, least) == expected


def test_trials_are_not_paid_for_with_the_last_epochs():
    # 1000 s leave 900 s of plan: ten epochs of 90 s, and no more
    assert worth_trials(1000, 90)
    assert not worth_trials(1000, 91)


def test_halving_gives_equal_times_and_keeps_the_better_half():
    gains = {"slow": 0.001, "steady": 0.004, "good": 0.006, "bad": 0.0}
    winner, trials = halving(list(gains), 240, lambda name, time: gains[name] * time)
    assert winner == "good"
    assert [(name, time) for name, time, _ in trials] == [
        ("slow", 30), ("steady", 30), ("good", 30), ("bad", 30), ("steady", 60), ("good", 60),
    ]  # fmt: skip


@given(st.lists(st.floats(0, 1), min_size=1, max_size=9, unique=True))
def test_with_steady_scores_the_best_wins(scores):
    winner, trials = halving(scores, 100, lambda score, _: score)
    assert winner == max(scores)
    assert sum(time for _, time, _ in trials) == pytest.approx(100 if len(scores) > 1 else 0)


def test_equal_scores_keep_the_order_of_the_ranking():
    assert halving(["first", "second", "third"], 10, lambda *_: 0.5)[0] == "first"


class Told(Progress):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        self.lines.append(f"{name}: {stages}")

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        self.lines.append(f"{stage} {cached}")


def watched(bound: float) -> tuple[Watched, list[float]]:
    now = [0.0]
    return Watched(Told(), Clock(bound, lambda: now[0])), now


def test_a_training_is_cut_when_another_epoch_would_not_end_in_time():
    progress, now = watched(100)
    progress.watch(20, epoch=20)
    progress.stage_started("distill")

    def epoch(number: int, at: float) -> None:
        now[0] = at
        progress.epoch(Epoch(number, 50, 0.0, 0.0, 0.0))

    epoch(1, 20)
    epoch(2, 40)
    epoch(3, 60)  # the next would end at 80, as it should
    with pytest.raises(OutOfTime) as caught:
        epoch(4, 81)
    assert (caught.value.stage, caught.value.epoch) == ("distill", 4)


def test_on_a_machine_that_became_slower_more_is_kept_back():
    progress, now = watched(100)
    progress.watch(20, epoch=10)
    progress.stage_started("distill")
    now[0] = 20
    progress.epoch(Epoch(1, 50, 0.0, 0.0, 20.0))  # twice as long as planned: the end will be, too
    now[0] = 40
    progress.epoch(Epoch(2, 50, 0.0, 0.0, 20.0))
    now[0] = 60
    with pytest.raises(OutOfTime):  # 80 at the next look, and the end takes 40
        progress.epoch(Epoch(3, 50, 0.0, 0.0, 20.0))
    assert progress.unwatch() == 2
    assert Costs(1, 2, 3).slower(2) == Costs(2, 4, 6)
    assert Costs(1, 2, 3).slower(0.5) == Costs(1, 2, 3)


def test_epochs_of_moments_tell_nothing_of_the_machine():
    progress, _ = watched(100)
    progress.watch(20, epoch=0.1)
    progress.epoch(Epoch(1, 50, 0.0, 0.0, 1.5))
    assert progress.unwatch() == 1


def test_the_last_epoch_and_an_unwatched_training_are_never_cut():
    progress, now = watched(10)
    now[0] = 99
    progress.epoch(Epoch(1, 2, 0.0, 0.0, 0.0))
    progress.watch(5, epoch=1)
    progress.epoch(Epoch(2, 2, 0.0, 0.0, 0.0))


def test_stages_are_told_once():
    progress, _ = watched(10)
    progress.outline("a", ["data", "teacher"])
    progress.run_started("a", ["data", "teacher"])
    progress.stage_finished("data", cached=False, seconds=1)
    progress.stage_finished("teacher", cached=True, seconds=1)
    progress.run_started("a", ["data", "teacher", "softlabels"])
    progress.stage_finished("data", cached=False, seconds=1)
    progress.outline("a", ["data", "teacher", "softlabels"])
    assert isinstance(progress.inner, Told)
    assert progress.inner.lines == [
        "a: ['data', 'teacher']", "data False", "teacher True", "a: ['softlabels']",
    ]  # fmt: skip
