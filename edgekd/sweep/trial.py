"""One trial: measured untrained, trained as far as it is worth it, and its figures."""

from __future__ import annotations

import shutil
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from edgekd.config.load import load_pipeline
from edgekd.config.pipeline import Pipeline
from edgekd.config.sweep import SweepSettings
from edgekd.database import explained
from edgekd.errors import ConfigError, DivergedError, EdgekdError
from edgekd.pipeline import MadeStages, make
from edgekd.plan import make_plan
from edgekd.progress import SILENT, Epoch, Progress, Relay
from edgekd.results import ModelFigures
from edgekd.store import Store
from edgekd.sweep.cost import costs_of
from edgekd.sweep.halving import Curve, is_behind
from edgekd.sweep.objectives import Costs, missed, others_of
from edgekd.sweep.study import TRAINING, open_study, training_of

TRAINED = ("distill", "finetune", "prune", "quantize")
"""Stages that make the student; a trial ends with the last of them that its pipeline has."""


@dataclass(frozen=True)
class TrialJob:
    """All that a worker needs, as plain data: it may be another process or another machine."""

    source: str
    """The pipeline file."""
    overrides: tuple[str, ...]
    """The user's, then the trial's."""
    name: str
    """Of the run folder, and of the study."""
    runs: str
    """Where run folders lie."""
    storage: str
    """The study's URL."""
    asked: str
    """Its digest."""
    sweep: SweepSettings
    number: int
    """The trial's."""


@dataclass(frozen=True)
class TrialOutcome:
    """What came of a trial."""

    number: int
    state: str
    """Of `TrialFigures`."""
    reason: str = ""
    score: float | None = None
    seconds: float = 0.0
    values: tuple[tuple[str, float], ...] = ()
    """By objective beside the accuracy."""


class Behind(Exception):
    """The training is behind those that cost no more."""


def trial_pipeline(job: TrialJob) -> tuple[Pipeline, Path]:
    """The pipeline of a trial in the sweep's run folder, for one seed.

    Raises:
        ConfigError: its fields do not go together.
    """
    pipeline, base = load_pipeline(job.source, job.overrides)
    return pipeline.model_copy(update={"name": job.name, "seeds": None, "control": False}), base


def run_trial(job: TrialJob, progress: Progress = SILENT) -> TrialOutcome:
    """Runs a trial, and tells its curve and costs to the study while it goes on.

    An error is an outcome, too: it may be of this setting alone.
    """
    started = time.perf_counter()
    try:
        pipeline, base = trial_pipeline(job)
        make_plan(pipeline, base)
    except ConfigError as error:
        return TrialOutcome(job.number, "out", reason=str(error).replace("\n", " "))
    state, reason, score = "finished", "", None
    work = _Trial(job, pipeline, base, progress)
    try:
        with closing(work.study), explained(job.storage, "The sweep's storage was lost."):
            score = work.run()
    except Behind:
        state, score = "stopped", max(work.scores)
    except _OverLimit as over:
        state, reason = "out", str(over)
    except DivergedError as error:
        state, reason = "diverged", error.what
        score = max(work.scores, default=None)
    except EdgekdError as error:
        state, reason = "failed", str(error)
    seconds = time.perf_counter() - started
    return TrialOutcome(job.number, state, reason, score, seconds, tuple(work.values.items()))


class _OverLimit(Exception):
    """The file costs more than a limit."""


class _Trial(Relay):
    """The pipeline of a trial, and a listener that watches its first training."""

    def __init__(self, job: TrialJob, pipeline: Pipeline, base: Path, progress: Progress) -> None:
        super().__init__(progress)
        self.job, self.pipeline, self.base = job, pipeline, base
        self.study = open_study(job.storage, job.name, job.sweep, job.asked, 0)
        self.trial = self.study.trial(job.number)
        plan = make_plan(pipeline, base)
        self.keys = {node.stage: (node.kind, node.key) for node in plan}
        self.first = next(stage for stage in TRAINED if stage in self.keys)
        self.last = next(stage for stage in reversed(TRAINED) if stage in self.keys)
        self.scores: list[float] = training_of(self.trial).get("curve", [])
        self.epochs: int = training_of(self.trial).get("epochs", 0)
        self.costs: tuple[float, ...] = ()
        self.values: dict[str, float] = {}
        self._stage = ""

    def run(self) -> float:
        """The score on validation of the last network.

        Raises:
            Behind: it is behind others; its work folder is removed.
            _OverLimit: the file misses a limit.
        """
        data = self._made("data").artefact("data")
        prune = self.pipeline.prune
        before = self._costs(data)
        if prune is None:
            self._keep(before)
        # How far it is pruned counts as a cost of its own, until the pruned file is measured.
        share = () if prune is None else (float(prune.limit or prune.keep),)
        self.costs = (*(before.of(name) for name in others_of(self.job.sweep)), *share)
        if prune is not None:
            self._keep(self._costs(data, self._watched("prune").artefact("prune")))
        made = self._watched(self.last)
        self._complete_curve(made)
        last = ModelFigures.model_validate(made.manifests[self.last]["models"][-1]).validation
        if last is None:
            raise EdgekdError(
                "This pipeline's student has no score on validation.", where=self.last
            )
        return last.value

    def _made(self, until: str) -> MadeStages:
        return make(self.pipeline, self.base, until=until, runs=Path(self.job.runs), progress=self)

    def _watched(self, until: str) -> MadeStages:
        try:
            return self._made(until)
        except (Behind, DivergedError):
            stage, key = self.keys[self._stage]
            work = Store(self._folder).work
            shutil.rmtree(work / f"{stage}-{key}", ignore_errors=True)
            raise

    @property
    def _folder(self) -> Path:
        return Path(self.job.runs) / self.job.name

    def _costs(self, data: Path, pruned: Path | None = None) -> Costs:
        return costs_of(self.pipeline, self.base, self._folder, self.job.sweep, data, pruned)

    def _keep(self, costs: Costs) -> None:
        """Notes the file's figures, and ends a trial whose file is over a limit."""
        self.values = {name: costs.of(name) for name in others_of(self.job.sweep)}
        self._tell()
        over = missed(costs, self.job.sweep)
        if over:
            raise _OverLimit("; ".join(over))

    def _complete_curve(self, made: MadeStages) -> None:
        """Of a training that was found finished, nobody has told the epochs."""
        from edgekd.train.history import FILE, History

        folder = made.artefact(self.first)
        if (folder / FILE).is_file():
            epochs = History.load(folder).epochs
            self.scores = [record.validation_accuracy for record in epochs]
            self.epochs = self.epochs or len(epochs)
        self._tell()

    def _tell(self) -> None:
        """What is known so far, for the other trials' sake and for the page."""
        facts = {
            "curve": self.scores, "epochs": self.epochs, "costs": self.costs,
            "values": self.values, "at": time.time(),
        }  # fmt: skip
        self.study.note(self.trial, TRAINING, facts)

    def run_started(self, name: str, stages: Sequence[str]) -> None:
        """Each part of a trial is a run of its own: the sweep tells of trials."""

    def stage_started(self, stage: str) -> None:
        self._stage = stage

    def stage_finished(self, stage: str, *, cached: bool, seconds: float, note: str = "") -> None:
        """Not shown."""

    def epoch(self, epoch: Epoch) -> None:
        super().epoch(epoch)
        if self._stage != self.first:
            return
        self.scores = [*self.scores[: epoch.number - 1], epoch.score]
        self.epochs = epoch.total
        self._tell()
        if not self.job.sweep.early_stop:
            return
        now = Curve(tuple(self.scores), epoch.total, self.costs)
        if is_behind(now, self.study.curves(but=self.job.number)):
            raise Behind
