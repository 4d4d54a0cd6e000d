"""`edgekd sweep`: trials until there are enough, then the front with several seeds."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path

from edgekd.config.load import find, load_pipeline
from edgekd.config.pipeline import Pipeline
from edgekd.config.sweep import ACCURACY, SIZE, SweepSettings
from edgekd.database import explained, read_url
from edgekd.errors import ConfigError, EdgekdError
from edgekd.nodes import ORDER
from edgekd.pipeline import make
from edgekd.plan import make_plan
from edgekd.progress import SILENT, Progress
from edgekd.report.sweep_terminal import trial_line
from edgekd.store import digest, write_json
from edgekd.sweep.executor import Executor, local
from edgekd.sweep.finalists import finalists
from edgekd.sweep.front import corners, covered, front_of
from edgekd.sweep.importance import importance
from edgekd.sweep.objectives import (
    as_point,
    best_first,
    check_objectives,
    limit_of,
    ordered,
    others_of,
)
from edgekd.sweep.space import check_space, load_search, overrides_of
from edgekd.sweep.study import Study, choosing, open_study
from edgekd.sweep.trial import TrialJob, TrialOutcome, run_trial
from edgekd.sweep_results import ObjectiveFigures, PointFigures, SweepFigures, TrialFigures

RESULT, DATABASE, PAGE = "front.json", "sweep.db", "sweep.html"
LONGEST_NAME = 57
"""Characters of the pipeline's name that the run folder keeps, before "-sweep"."""
MOST_FAILURES = 3
"""After so many trials with an error in a row, the sweep ends with it."""
WAIT_SECONDS = 2.0
"""Between two looks at what other processes still work on."""
GO_ON = "when it can be reached again, the same command goes on from what it holds"


@dataclass(frozen=True)
class SweepResult:
    """What `sweep` gives back."""

    folder: Path
    """`runs/NAME-sweep`."""
    figures: SweepFigures

    @property
    def page(self) -> Path:
        """The HTML page."""
        return self.folder / PAGE


def sweep(
    pipeline: str,
    search: str | Path,
    *,
    overrides: Sequence[str] = (),
    storage: str | None = None,
    runs: str | Path = "runs",
    trials: int | None = None,
    executor: Executor | None = None,
    progress: Progress = SILENT,
) -> SweepResult:
    """Searches, and goes on with what an earlier call has begun.

    Args:
        pipeline: a pipeline file, or the name of a shipped one.
        search: the search file.
        overrides: "key.path=value" each, over the pipeline file.
        storage: a database that several processes and machines may share, by its URL, or a SQLite
            file; by default one in the run folder.
        runs: where run folders lie.
        trials: instead of the search file's.
        executor: where trials run; by default one after the other in this process.

    Raises:
        ConfigError: a file is wrong, or an objective cannot be measured; nothing has run then.
        EdgekdError: a stage failed.
    """
    asked = load_search(Path(search))
    if trials is not None:
        asked = asked.model_copy(update={"trials": trials})
    whole, base = load_pipeline(pipeline, overrides)
    check_objectives(asked, whole, base)
    check_space(asked, whole, find(pipeline, "pipelines"), overrides)
    made = _Sweep(asked, whole, base, str(find(pipeline, "pipelines")), overrides, Path(runs),
                  storage, progress)  # fmt: skip
    with closing(made.study), explained(made.storage, "The sweep's storage was lost.", GO_ON):
        made.shared_stages()
        made.run(executor or local(1))
        return made.conclude()


class _Sweep:
    """One process's part of a sweep."""

    def __init__(
        self,
        asked: SweepSettings,
        pipeline: Pipeline,
        base: Path,
        source: str,
        overrides: Sequence[str],
        runs: Path,
        storage: str | None,
        progress: Progress,
    ) -> None:
        self.asked, self.pipeline, self.base, self.source = asked, pipeline, base, source
        self.overrides, self.runs, self.progress = tuple(overrides), runs, progress
        self.name = f"{pipeline.name[:LONGEST_NAME]}-sweep"
        self.one = pipeline.model_copy(update={"name": self.name, "seeds": None})
        self.folder = runs / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.storage = read_url(storage or str(self.folder / DATABASE))
        kept = asked.model_dump(mode="json", exclude={"trials", "seeds", "early_stop"})
        fixed = pipeline.model_dump(mode="json", exclude={"name", "seeds", "track"})
        self.digest = digest({"search": kept, "pipeline": fixed})
        self.study = self._study()
        self.locks = self.folder / ".work"
        self.held: dict[int, ExitStack] = {}
        self.failures = 0

    def _study(self) -> Study:
        return open_study(self.storage, self.name, self.asked, self.digest, self.pipeline.seed)

    def shared_stages(self) -> None:
        """Makes what all trials share, with its progress shown, before several want it at once."""
        varied = {field.partition(".")[0] for field in self.asked.space}
        if varied & {"data", "teacher", "teachers", "teacher_weights", "softlabels"}:
            return
        plan = make_plan(self.pipeline, self.base)
        shared = [node.kind for node in plan if ORDER.index(node.kind) <= ORDER.index("check")]
        make(self.one, self.base, until=shared[-1], runs=self.runs, progress=self.progress)

    def run(self, executor: Executor) -> None:
        """Trials until there are enough; then waits for those of other processes."""
        told = True
        try:
            while told:  # a trial that failed calls for another one
                told = False
                for outcome in executor(run_trial, self._jobs()):
                    self._tell(outcome)
                    told = True
        finally:
            for held in self.held.values():
                held.close()

    def _jobs(self) -> Iterator[TrialJob]:
        """The next trial, each time that there is room for one."""
        while True:
            job = self._next()
            if job is not None:
                yield job
            elif self.held or not self.study.alive(self.locks):
                return
            else:
                time.sleep(WAIT_SECONDS)

    def _next(self) -> TrialJob | None:
        """A trial that a dead process left, or a new one while more are wanted."""
        held = ExitStack()
        with choosing(self.locks):
            trial = self.study.claim_running(self.locks, held)
            if trial is None:
                under_way = len(self.held) + self.study.alive(self.locks, self.held)
                if self.study.finished() + under_way < self.asked.trials:
                    trial = self.study.ask(self.locks, held)
        if trial is None:
            held.close()
            return None
        self.held[trial.number] = held
        own = overrides_of(trial.params, self.asked)
        return TrialJob(
            source=self.source,
            overrides=(*self.overrides, *own),
            name=self.name,
            runs=str(self.runs),
            storage=self.storage,
            asked=self.digest,
            sweep=self.asked,
            number=trial.number,
        )

    def _tell(self, outcome: TrialOutcome) -> None:
        trial, values = self.study.trial(outcome.number), None
        if outcome.state == "finished" and outcome.score is not None:
            values = as_point(outcome.score, dict(outcome.values), self.asked)
        self.study.end(
            trial, outcome.state, values, score=outcome.score, reason=outcome.reason,
            seconds=outcome.seconds,
        )  # fmt: skip
        self.held.pop(outcome.number).close()
        every = self.study.figures()
        done = [t for t in every if t.state != "failed"]
        figures = next(t for t in every if t.number == outcome.number)
        metrics = {o.name: o.metric for o in self.objectives}
        self.progress.message(trial_line(figures, len(done), self.asked.trials, metrics))
        self.failures = self.failures + 1 if outcome.state == "failed" else 0
        if self.failures == MOST_FAILURES or (self.failures and not done):
            raise EdgekdError(
                f"Trial {outcome.number} failed: {outcome.reason}",
                fix="mend that; the same command goes on with what is left",
            )

    @cached_property
    def objectives(self) -> list[ObjectiveFigures]:
        """What is searched for. The task's score is known once the data is read."""
        from edgekd.data.dataset import load
        from edgekd.spec import HEADLINE

        data = make(self.one, self.base, until="data", runs=self.runs).artefact("data")
        kinds = {ACCURACY: HEADLINE[load(data).task], SIZE: "bytes"}
        return [
            ObjectiveFigures(name=o, metric=kinds.get(o, "us"), limit=limit_of(o, self.asked))
            for o in ordered(self.asked)
        ]

    def conclude(self) -> SweepResult:
        """Makes the front's points, and writes `front.json` and the page.

        Raises:
            EdgekdError: no trial was trained to its end.
        """
        trials = self.study.figures()
        ended = [t for t in trials if t.state == "finished" and t.score is not None]
        if not ended:
            raise _none_finished(trials, self.asked)
        points = [as_point(t.score or 0.0, t.values, self.asked) for t in ended]
        on_front = {ended[k].number for k in front_of(points)}
        trials = [t.model_copy(update={"front": t.number in on_front}) for t in trials]
        front = [t for t in trials if t.front]
        order = best_first([as_point(t.score or 0.0, t.values, self.asked) for t in front])
        made = finalists(
            [front[k] for k in order], self.source, self.overrides, self.name, self.runs,
            self.asked, self.progress,
        )  # fmt: skip
        figures = self._figures(trials, made)
        write_json(self.folder / RESULT, figures.model_dump(mode="json"))
        from edgekd.report.sweep_page import write_page

        write_page(figures, self.folder / PAGE)
        return SweepResult(self.folder, figures)

    def _figures(self, trials: list[TrialFigures], made: list[PointFigures]) -> SweepFigures:
        known = [
            t for t in trials if t.score is not None and set(others_of(self.asked)) <= set(t.values)
        ]
        points = [as_point(t.score or 0.0, t.values, self.asked) for t in known]
        ideal, worst = corners(points)
        limits = [limit_of(objective, self.asked) for objective in ordered(self.asked)]
        reference = tuple(
            w if limit is None else float(limit) for w, limit in zip(worst, limits, strict=True)
        )
        ended = [p for p, t in zip(points, known, strict=True) if t.state == "finished"]
        trained = [t for t in trials if t.curve]
        return SweepFigures(
            pipeline=self.pipeline.name,
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            objectives=self.objectives,
            trials=trials,
            front=made,
            hypervolume=covered(ended, ideal, reference),
            ideal=list(ideal),
            reference=list(reference),
            importance=importance(trials, self.asked),
            epochs_trained=sum(len(t.curve) for t in trained),
            epochs_whole=sum(t.epochs for t in trained),
            seconds=round(sum(t.seconds for t in trials), 1),
        )


def _none_finished(trials: Sequence[TrialFigures], asked: SweepSettings) -> EdgekdError:
    reasons = list(dict.fromkeys(t.reason for t in trials if t.reason))
    return ConfigError(
        "No trial was trained to its end, so there is no front.",
        where="; ".join(reasons[:3]),
        fix="raise `limits` to what these need, or widen the space; settings that were tried are "
        "not tried again"
        if asked.limited
        else "widen the space",
    )
