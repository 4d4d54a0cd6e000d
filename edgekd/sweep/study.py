"""The sweep's memory: one Optuna study in SQLite or PostgreSQL, which several processes may share.

What Optuna stores of a trial: its setting, its state, and when whole its figures. What edgekd adds
as attributes: the learning curve, the costs, why it is out, and who works on it.
"""

from __future__ import annotations

import contextlib
import random
import socket
import time
from collections.abc import Container, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.sweep import SweepSettings
from edgekd.database import engine_options, explained, shown
from edgekd.errors import ConfigError, EdgekdError
from edgekd.store import locked
from edgekd.sweep.halving import Curve
from edgekd.sweep.space import MOST_LISTED, distributions, every_setting, size_of
from edgekd.sweep_results import TrialFigures

if TYPE_CHECKING:
    import optuna
    from optuna.storages import RDBStorage
    from optuna.trial import FrozenTrial

ASKED, CLAIM, TRAINING, OUTCOME = "asked", "claim", "training", "outcome"
"""Names of the attributes. Each is written as a whole: a write is a transaction."""
STARTUP = 10
"""Settings that are drawn at random before any are proposed from what was found."""
SILENT_SECONDS = 900.0
"""A trial of another machine that has told nothing for so long is taken to be dead."""
REPEATS = 20
"""So often a setting that was tried already is drawn again, before one is picked from what is
left."""
TABLE_TRIES = 5
"""So often, a second apart, a new database's tables are made or found."""


def open_study(storage: str, name: str, sweep: SweepSettings, asked: str, seed: int) -> Study:
    """The study of a sweep, made if it is not there.

    Args:
        storage: a URL of `edgekd.database.read_url`.
        asked: digest of the pipeline and the search file; a study of other ones is refused.
        seed: of what is proposed.

    Raises:
        ConfigError: the storage cannot be opened, or holds a study of other settings.
    """
    import optuna
    from optuna.study import StudyDirection

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    with explained(storage, "The sweep's storage cannot be opened."):
        opened = _storage(storage)
        study = optuna.create_study(
            study_name=name,
            storage=opened,
            directions=[StudyDirection.MINIMIZE] * len(sweep.objectives),
            load_if_exists=True,
        )
        seen = len(study.trials)  # before the digest, which another process may be about to keep
        found = study.user_attrs.get(ASKED)
        if found is None and not seen:
            study.set_user_attr(ASKED, asked)
        elif found != asked:
            raise ConfigError(
                "This storage holds a sweep of another pipeline or search file under this name.",
                where=f"{shown(storage)}, study {name}",
                fix="give the pipeline another name (--set name=NEW), or remove the sweep's folder "
                "to begin again; `trials` and `seeds` alone may be changed in between",
            )
    study.sampler = optuna.samplers.TPESampler(
        seed=seed + seen, n_startup_trials=STARTUP, multivariate=True
    )
    return Study(study, sweep, opened)


def _storage(url: str) -> RDBStorage:
    """The study's tables, made if they are not there."""
    import optuna
    from sqlalchemy.exc import IntegrityError, ProgrammingError

    made = partial(optuna.storages.RDBStorage, url, engine_kwargs=engine_options(url))
    for _ in range(TABLE_TRIES):
        with contextlib.suppress(IntegrityError, ProgrammingError):
            return made()
        time.sleep(1)  # another process makes them just now
    return made()


class Study:
    """The trials, as edgekd sees them."""

    def __init__(self, study: optuna.Study, sweep: SweepSettings, storage: RDBStorage) -> None:
        self.study, self.sweep, self.storage = study, sweep, storage

    def close(self) -> None:
        """Gives the connections back: a server has few, and a sweep opens a study a trial."""
        self.storage.remove_session()
        self.storage.engine.dispose()

    def trials(self) -> list[FrozenTrial]:
        """All but those that turned out to be repetitions, and those whose setting is not whole: a
        process is about to write it, or was ended while it did.
        """
        every = self.study.get_trials(deepcopy=False)
        whole = set(self.sweep.space)
        return [t for t in every if state_of(t) != "repeated" and whole <= set(t.params)]

    def trial(self, number: int) -> FrozenTrial:
        """A trial by its number."""
        return next(trial for trial in self.trials() if trial.number == number)

    def finished(self) -> int:
        """How many are over and count: what failed may be tried again."""
        return sum(t.state.is_finished() and state_of(t) != "failed" for t in self.trials())

    def claim_running(self, folder: Path, held: ExitStack) -> FrozenTrial | None:
        """A trial that was left under way by a process that is dead, now held by this one.

        Args:
            folder: of the locks.
            held: keeps the claim until it is closed.
        """
        for trial in self._running():
            if not self._is_dead(trial, folder):
                continue
            if self._is_repeated(trial):  # its process was ended before it could note that
                self.end(trial, "repeated")
            elif self._hold(trial, folder, held):
                return trial
        return None

    def alive(self, folder: Path, own: Container[int] = ()) -> int:
        """How many trials others work on.

        Args:
            own: numbers of this process's.
        """
        running = [trial for trial in self._running() if trial.number not in own]
        return sum(not self._is_dead(trial, folder) for trial in running)

    def _running(self) -> list[FrozenTrial]:
        return [trial for trial in self.trials() if not trial.state.is_finished()]

    def ask(self, folder: Path, held: ExitStack) -> FrozenTrial | None:
        """A new setting, held by this process; None where all of the space was tried."""
        for _ in range(REPEATS):
            trial = self._asked()
            if trial is not None:
                return trial if self._hold(trial, folder, held) else None
            if not self._is_listed:
                continue  # real numbers, or many: the next draw is another
            left = self._left()
            if not left:
                return None
            self.study.enqueue_trial(random.Random(len(left)).choice(left))  # noqa: S311
        raise EdgekdError(
            "The sweep finds no setting that it has not tried.",
            fix="widen the space of the search file, or lower `trials`",
        )

    def _asked(self) -> FrozenTrial | None:
        """A proposal, unless it was tried before: that is noted, and None is given."""
        number = self.study.ask(fixed_distributions=distributions(self.sweep)).number
        asked = self.trial(number)
        if self._is_repeated(asked):
            self.end(asked, "repeated")
            return None
        return asked

    def _is_repeated(self, trial: FrozenTrial) -> bool:
        """Whether an earlier trial has the same setting."""
        before = [t for t in self.trials() if t.number < trial.number and state_of(t) != "failed"]
        return any(t.params == trial.params for t in before)

    @property
    def _is_listed(self) -> bool:
        size = size_of(self.sweep)
        return size is not None and size <= MOST_LISTED

    def _left(self) -> list[dict[str, Any]]:
        """Settings that were not tried, of a space that can be gone through."""
        tried = [t.params for t in self.trials() if state_of(t) != "failed"]
        return [setting for setting in every_setting(self.sweep) if setting not in tried]

    def _hold(self, trial: FrozenTrial, folder: Path, held: ExitStack) -> bool:
        try:
            held.enter_context(locked(lock_of(folder, trial)))
        except EdgekdError:
            return False
        self.note(trial, CLAIM, {"host": socket.gethostname(), "at": time.time()})
        return True

    def _is_dead(self, trial: FrozenTrial, folder: Path) -> bool:
        """Whether nobody works on it: on this machine the lock tells, of another its silence."""
        claim = trial.user_attrs.get(CLAIM, {})
        if claim.get("host", socket.gethostname()) == socket.gethostname():
            try:
                with locked(lock_of(folder, trial)):
                    return True
            except EdgekdError:
                return False
        last = max(claim["at"], training_of(trial).get("at", 0.0))
        return time.time() - last > SILENT_SECONDS

    def note(self, trial: FrozenTrial, name: str, facts: Mapping[str, Any]) -> None:
        """Keeps an attribute of a trial that is under way. If another process has ended it, which
        took it up while this one was silent, that one's figures stand.
        """
        import optuna

        with contextlib.suppress(optuna.exceptions.UpdateFinishedTrialError):
            optuna.Trial(self.study, trial._trial_id).set_user_attr(name, dict(facts))

    def end(
        self,
        trial: FrozenTrial,
        state: str,
        values: Sequence[float] | None = None,
        *,
        score: float | None = None,
        reason: str = "",
        seconds: float = 0.0,
    ) -> None:
        """Ends a trial, unless another process has.

        Args:
            state: of `TrialFigures`, or "repeated".
            values: the costs in the objectives' order, where it was trained to its end.
        """
        from optuna.trial import TrialState

        facts = {"state": state, "score": score, "reason": reason, "seconds": round(seconds, 3)}
        self.note(trial, OUTCOME, facts)
        if values is not None:
            self.study.tell(trial.number, list(values), skip_if_finished=True)
            return
        ignored = state in ("repeated", "failed")
        self.study.tell(
            trial.number,
            state=TrialState.FAIL if ignored else TrialState.PRUNED,
            skip_if_finished=True,
        )

    def curves(self, but: int) -> list[Curve]:
        """The learning curves of all trials but one."""
        known = [t for t in self.trials() if t.number != but and state_of(t) != "failed"]
        told = [training_of(trial) for trial in known]
        return [
            Curve(tuple(t["curve"]), t["epochs"], tuple(t["costs"])) for t in told if t.get("curve")
        ]

    def figures(self) -> list[TrialFigures]:
        """The trials that are over, by number."""
        from edgekd.sweep.space import plain

        return [
            TrialFigures(
                number=trial.number,
                setting={field: plain(trial.params[field]) for field in self.sweep.space},
                **trial.user_attrs[OUTCOME],
                values=training_of(trial).get("values", {}),
                curve=training_of(trial).get("curve", []),
                epochs=training_of(trial).get("epochs", 0),
            )
            for trial in self.trials()
            if trial.state.is_finished()
        ]


def state_of(trial: FrozenTrial) -> str:
    """What became of a trial; "" while it is under way."""
    return trial.user_attrs.get(OUTCOME, {}).get("state", "")


def training_of(trial: FrozenTrial) -> dict[str, Any]:
    """What a trial has told: curve, epochs, costs, values, and when."""
    return trial.user_attrs.get(TRAINING, {})


def lock_of(folder: Path, trial: FrozenTrial) -> Path:
    """Held by whoever works on a trial."""
    return folder / f"trial-{trial.number}.lock"


@contextmanager
def choosing(folder: Path) -> Iterator[None]:
    """Held while a trial is asked for or taken up, so that two processes take no two of one."""
    with locked(folder / "ask.lock", lambda: None):
        yield
