"""The sweep's storage: no setting twice, nothing lost with a process."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from edgekd.config.sweep import SweepSettings
from edgekd.errors import ConfigError
from edgekd.sweep.space import distributions
from edgekd.sweep.study import CLAIM, TRAINING, Study, choosing, open_study


def settings(**fields: Any) -> SweepSettings:
    space = {"student.model.width": [0.25, 0.5, 1], "distill.train.epochs": {"int": [1, 2]}}
    return SweepSettings.model_validate({"space": space, **fields})


def opened(tmp_path: Path, asked: str = "a", seed: int = 0) -> Study:
    return open_study(f"sqlite:///{tmp_path / 'sweep.db'}", "small", settings(), asked, seed)


def ended(study: Study, tmp_path: Path, number: float) -> dict[str, Any] | None:
    """Asks for a setting and ends it."""
    with ExitStack() as held:
        trial = study.ask(tmp_path, held)
        if trial is None:
            return None
        study.end(trial, "finished", [number, 1.0])
        return trial.params


def test_a_small_space_is_gone_through_once_and_then_is_over(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with ExitStack() as held:
        trial = study.ask(tmp_path, held)
        assert trial is not None
        study.end(trial, "failed")
    assert study.finished() == 0  # what failed may be tried again, and counts nothing
    tried = [ended(study, tmp_path, 0.1) for _ in range(6)]
    assert len({repr(sorted(t.items())) for t in tried if t}) == 6
    assert ended(study, tmp_path, 0.1) is None
    assert study.finished() == 6
    assert len([t for t in study.figures() if t.state == "finished"]) == 6


def test_a_storage_of_other_settings_is_refused(tmp_path: Path) -> None:
    ended(opened(tmp_path), tmp_path, 0.1)
    assert opened(tmp_path).finished() == 1
    with pytest.raises(ConfigError, match="another pipeline or search file"):
        opened(tmp_path, asked="b")


def test_a_storage_that_cannot_be_opened_tells_no_password(tmp_path: Path) -> None:
    for url in (
        "postgresql+psycopg://me:secret@127.0.0.1:9/x",
        "sqlite:////no/where.db",
    ):
        with pytest.raises(ConfigError, match="storage cannot be opened") as caught:
            open_study(url, "small", settings(), "a", 0)
        assert "secret" not in str(caught.value)


def test_curves_are_those_of_the_other_trials(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with ExitStack() as held:
        first, second = (study.ask(tmp_path, held) for _ in range(2))
        assert first is not None and second is not None
        study.note(first, TRAINING, {"curve": [0.1, 0.2], "epochs": 9, "costs": [10.0]})
        (curve,) = study.curves(but=second.number)
        assert (curve.scores, curve.epochs, curve.costs) == ((0.1, 0.2), 9, (10.0,))
        assert study.curves(but=first.number) == []


def _take_and_die(tmp_path: Path, ready: Any) -> None:
    held = ExitStack()
    trial = opened(tmp_path).ask(tmp_path, held)
    assert trial is not None
    ready.send(trial.number)
    ready.recv()  # until the process is killed


def test_a_trial_of_a_killed_process_is_taken_up_and_of_a_live_one_is_not(tmp_path: Path) -> None:
    here, there = multiprocessing.Pipe()
    context = multiprocessing.get_context("spawn")
    other = context.Process(target=_take_and_die, args=(tmp_path, there), daemon=True)
    other.start()
    assert here.poll(120)
    number = here.recv()
    study = opened(tmp_path)
    with ExitStack() as held, choosing(tmp_path):
        assert study.claim_running(tmp_path, held) is None
        assert study.alive(tmp_path) == 1
    other.kill()
    other.join(60)
    with ExitStack() as held:
        with choosing(tmp_path):
            found = study.claim_running(tmp_path, held)
        assert found is not None
        assert found.number == number
        with ExitStack() as again:  # held by this process now
            assert opened(tmp_path).claim_running(tmp_path, again) is None
    assert len(study.trials()) == 1


def test_a_trial_of_another_machine_is_taken_up_after_its_silence(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with ExitStack() as held:
        trial = study.ask(tmp_path, held)
        assert trial is not None
        study.note(trial, CLAIM, {"host": "elsewhere", "at": time.time()})
    assert study.alive(tmp_path) == 1
    study.note(trial, CLAIM, {"host": "elsewhere", "at": 0.0})
    assert study.alive(tmp_path) == 0
    with ExitStack() as held:
        assert study.claim_running(tmp_path, held) is not None


def test_a_trial_whose_setting_was_not_written_whole_is_none(tmp_path: Path) -> None:
    study = opened(tmp_path)
    half = study.study.ask()
    half.suggest_categorical("student.model.width", ["0.25", "0.5", "1"])
    assert study.trials() == []
    with ExitStack() as held:
        assert study.claim_running(tmp_path, held) is None
    assert study.alive(tmp_path) == 0


def test_figures_of_a_trial_that_another_process_ended_stand(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with ExitStack() as held:
        trial = study.ask(tmp_path, held)
        assert trial is not None
        opened(tmp_path).end(trial, "finished", [0.1, 1.0], score=0.9)
        study.note(trial, TRAINING, {"curve": [0.5]})
        study.end(trial, "finished", [0.2, 1.0], score=0.8)
    (figures,) = study.figures()
    assert (figures.score, figures.curve) == (0.9, [])


def test_a_repetition_that_a_killed_process_left_is_not_taken_up(tmp_path: Path) -> None:
    study = opened(tmp_path)
    with ExitStack() as held:
        trial = study.ask(tmp_path, held)
        assert trial is not None
        study.end(trial, "finished", [0.1, 1.0])
        study.study.enqueue_trial(trial.params)
        study.study.ask(fixed_distributions=distributions(study.sweep))
        assert len(study.trials()) == 2
        assert study.claim_running(tmp_path, held) is None
    assert len(study.trials()) == 1
