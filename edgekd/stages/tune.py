"""Tune: temperature and weight are chosen by few short trainings of the student on validation."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.methods import Method, parts_of
from edgekd.config.stages import ModelSettings
from edgekd.config.training import TrainSettings
from edgekd.errors import DivergedError
from edgekd.progress import SILENT
from edgekd.results import TuningFigures
from edgekd.stages.base import CHECKPOINT, Job, Made
from edgekd.stages.learning import TUNED, peers_of, train_network
from edgekd.stages.networks import fresh_torch_seed
from edgekd.store import write_json

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset
    from edgekd.distill.tuning import Candidate
    from edgekd.train.history import History

TRIALS = "trials"
"""Folder of the trials inside `Job.out` while they are made."""
DIVERGED = (-math.inf, math.inf)
"""Score and loss of a trial whose loss became infinite."""


class TuneStage(Settings):
    """What the stage may know: all that the student's training may."""

    model: ModelSettings
    """The student's network."""
    method: Method
    """The loss, with `auto` where it is searched."""
    train: TrainSettings
    """How the student is trained in the end."""
    augment: Augment
    """Variations of training images."""


def run(job: Job[TuneStage]) -> Made:
    """Writes what was chosen. Trials that were finished before a kill are not made again.

    Raises:
        DivergedError: no trial's loss is finite.
    """
    from edgekd.data.dataset import load
    from edgekd.distill.tuning import candidates, rounds, search
    from edgekd.spec import HEADLINE

    data = load(job.inputs["data"])
    method, epochs = job.settings.method, job.settings.train.epochs
    grid = candidates(method)
    total = sum(r.settings for r in rounds(len(grid), epochs))
    done, diverged = 0, None

    def train(candidate: Candidate, number: int, length: int) -> tuple[float, float]:
        nonlocal done, diverged
        folder = job.out / TRIALS / f"{number}-{grid.index(candidate)}"
        done += 1
        job.progress.step(done, total, "trials")
        try:
            return _judged(_trial(job, data, candidate, number, length, folder))
        except DivergedError as error:  # a corner of the grid, which loses against all others
            diverged = error
            return DIVERGED

    best, trials = search(grid, epochs, train)
    finite = [trial for trial in trials if (trial.score, trial.loss) != DIVERGED]
    if diverged is not None and trials[-1].round not in {trial.round for trial in finite}:
        raise diverged
    chosen = {"temperature": best.temperature, "weight": best.weight}
    write_json(job.out / TUNED, {name: v for name, v in chosen.items() if v is not None})
    shutil.rmtree(job.out / TRIALS, ignore_errors=True)
    last = trials[-1].round
    setting = as_setting(best.of(method))
    figures = [
        TuningFigures(
            seed=job.seed,
            round=trial.round,
            epochs=trial.epochs,
            temperature=trial.candidate.temperature,
            weight=trial.candidate.weight,
            metric=HEADLINE[data.task],
            score=trial.score,
            loss=trial.loss,
            default=trial.candidate.default,
            chosen=trial.round == last and trial.candidate == best,
            setting=setting,
        )
        for trial in finite
    ]
    text = ", ".join(f"{name} {value:g}" for name, value in chosen.items() if value is not None)
    spent = sum(trial.epochs for trial in trials) / epochs
    note = f"{text}, by {len(trials)} trials as long as {spent:.1f} trainings"
    if len(finite) < len(trials):
        note += f"; {len(trials) - len(finite)} of them diverged"
    return Made(note=note, tuning=figures)


def _trial(
    job: Job[TuneStage],
    data: Dataset,
    candidate: Candidate,
    number: int,
    length: int,
    folder: Path,
) -> History:
    """A short training; all of one round start from the same first weights."""
    from edgekd.distill.tuning import shortened
    from edgekd.models.build import build
    from edgekd.train.history import FILE, History

    if (folder / FILE).is_file():
        return History.load(folder)
    folder.mkdir(parents=True, exist_ok=True)
    settings = job.settings
    share, seed = length / settings.train.epochs, job.seed + number
    fresh_torch_seed(seed)
    train_network(
        replace(job, out=folder, progress=SILENT),
        build(settings.model, data.spec, data.classes, job.base),
        data,
        method=shortened(candidate.of(settings.method), share),
        settings=_shorter(settings.train, length),
        augment=settings.augment,
        peers=peers_of(job, settings.method, settings.model, data, seed),
        seed=seed,
    )
    shutil.rmtree(folder / CHECKPOINT, ignore_errors=True)
    return History.load(folder)


def _shorter(train: TrainSettings, epochs: int) -> TrainSettings:
    """The same training in fewer epochs, its rate all the way down to 0."""
    share = epochs / train.epochs
    return train.model_copy(
        update={
            "epochs": epochs,
            "stop_after": None,
            "patience": None,
            "warmup_epochs": round(share * train.warmup_epochs),
            "freeze_epochs": round(share * train.freeze_epochs),
            "step_epochs": tuple(max(1, round(share * at)) for at in train.step_epochs),
        }
    )


def _judged(history: History) -> tuple[float, float]:
    """Means of validation score and loss over the last quarter of the epochs."""
    last = history.epochs[-max(1, len(history.epochs) // 4) :]
    scores = [record.validation_accuracy for record in last]
    losses = [record.validation_loss for record in last]
    return sum(scores) / len(last), sum(losses) / len(last)


def as_setting(method: Method) -> str:
    """A method as an override that can be pasted; JSON is YAML, too."""
    parts = [
        {"name": part.name, **part.model_dump(mode="json", exclude_defaults=True)}
        for part in parts_of(method)
    ]
    return f"distill.method={json.dumps(parts if isinstance(method, tuple) else parts[0])}"
