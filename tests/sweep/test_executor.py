"""Where trials run: jobs are taken when there is room, and a dead worker is told."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from edgekd.config.sweep import SweepSettings
from edgekd.errors import EdgekdError
from edgekd.sweep.executor import EXECUTORS, local, named
from edgekd.sweep.trial import TrialJob, TrialOutcome

SWEEP = SweepSettings.model_validate({"space": {"a": [1, 2]}})


def job(number: int) -> TrialJob:
    return TrialJob("p.yaml", (), "x", "runs", "sqlite://", "a", SWEEP, number)


def work(one: TrialJob) -> TrialOutcome:
    return TrialOutcome(one.number, "finished", reason=str(os.getpid()))


def die(one: TrialJob) -> TrialOutcome:
    os.kill(os.getpid(), signal.SIGKILL)
    return work(one)


def test_one_at_a_time_asks_for_a_job_after_the_outcome_before() -> None:
    told: list[str] = []

    def jobs() -> Iterator[TrialJob]:
        for number in range(3):
            told.append(f"job {number}")
            yield job(number)

    for outcome in local(1)(work, jobs()):
        told.append(f"outcome {outcome.number}")
    assert told == [f"{what} {n}" for n in range(3) for what in ("job", "outcome")]


@pytest.mark.slow
def test_several_at_once_give_every_outcome_from_other_processes() -> None:
    taken = 0

    def jobs() -> Iterator[TrialJob]:
        nonlocal taken
        for number in range(5):
            taken += 1
            yield job(number)

    found = []
    for outcome in local(2)(work, jobs()):
        found.append(outcome)
        assert taken <= len(found) + 2  # no more than there is room for
    assert sorted(outcome.number for outcome in found) == list(range(5))
    assert str(os.getpid()) not in {outcome.reason for outcome in found}


@pytest.mark.slow
def test_a_worker_that_is_killed_ends_the_sweep_with_an_explanation() -> None:
    with pytest.raises(EdgekdError, match="ended from outside"):
        list(local(2)(die, [job(0)]))


def test_executors_have_names() -> None:
    from edgekd.cli.options import ExecutorName

    assert {name.value for name in ExecutorName} == set(EXECUTORS)
    assert [o.number for o in named("local", 1)(work, [job(7)])] == [7]
