"""The driver of a sweep, with executors that train nothing: which jobs it gives, how it ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from edgekd.config.load import load_pipeline
from edgekd.config.sweep import SweepSettings
from edgekd.errors import EdgekdError
from edgekd.progress import Progress
from edgekd.sweep import command
from edgekd.sweep.executor import Work
from edgekd.sweep.trial import TrialJob, TrialOutcome

SPACE = {"student.model.width": [0.25, 0.5, 1], "distill.method.temperature": [1, 2]}


class Heard(Progress):
    """What is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


def driver(tmp_path: Path, **fields: object) -> command._Sweep:
    path = tmp_path / "pipeline.yaml"
    path.write_text("name: small\ndata: digits\nstudent: mlp\ndistill: kd\n")
    pipeline, base = load_pipeline(path)
    asked = SweepSettings.model_validate({"space": SPACE, **fields})
    return command._Sweep(asked, pipeline, base, str(path), (), tmp_path / "runs", None, Heard())


def outcome(number: int, state: str = "finished") -> TrialOutcome:
    return TrialOutcome(number, state, "by itself", 0.9, 1.0, (("size", 1000.0 + number),))


class Two:
    """Two jobs at once; the third trial fails."""

    def __init__(self) -> None:
        self.jobs: list[TrialJob] = []

    def __call__(self, work: Work, jobs: Iterable[TrialJob]) -> Iterator[TrialOutcome]:
        todo, running = iter(jobs), list[TrialJob]()
        while True:
            while len(running) < 2 and (job := next(todo, None)) is not None:
                running.append(job)
                self.jobs.append(job)
            if not running:
                return
            number = running.pop(0).number
            third = len(self.jobs) > 2 and number == self.jobs[2].number
            yield outcome(number, "failed" if third else "finished")


def test_trials_are_given_until_there_are_enough(tmp_path: Path) -> None:
    made, executor = driver(tmp_path, trials=4), Two()
    made.run(executor)
    assert made.study.finished() == 4
    assert len(executor.jobs) == len({job.number for job in executor.jobs}) == 5
    assert all(job.overrides[0].startswith("student.model.width=") for job in executor.jobs)
    heard = made.progress.lines  # type: ignore[attr-defined]
    assert [line.partition("  ")[0] for line in heard] == ["1/4", "2/4", "2/4", "3/4", "4/4"]
    made.run(executor)  # the same command again
    assert len(executor.jobs) == 5


def test_more_trials_are_asked_for_than_there_are_settings(tmp_path: Path) -> None:
    made = driver(tmp_path, trials=40)
    made.run(lambda work, jobs: (outcome(job.number) for job in jobs))
    assert made.study.finished() == 6


def test_three_failures_in_a_row_end_the_sweep(tmp_path: Path) -> None:
    made = driver(tmp_path, trials=6)
    states = iter(["finished", "failed", "failed", "failed"])
    with pytest.raises(EdgekdError, match=r"Trial \d+ failed: by itself"):
        made.run(lambda work, jobs: (outcome(job.number, next(states)) for job in jobs))
    assert made.study.finished() == 1


def test_a_first_trial_that_fails_ends_the_sweep(tmp_path: Path) -> None:
    made = driver(tmp_path, trials=6)
    with pytest.raises(EdgekdError, match="Trial 0 failed"):
        made.run(lambda work, jobs: (outcome(job.number, "failed") for job in jobs))


def test_without_a_finished_trial_there_is_no_front(tmp_path: Path) -> None:
    made = driver(tmp_path, trials=2, limits={"size": "1 B"})
    made.run(lambda work, jobs: (outcome(job.number, "out") for job in jobs))
    with pytest.raises(EdgekdError, match="no front") as caught:
        made.conclude()
    assert "raise `limits`" in str(caught.value)
