"""`edgekd compress`: a trained model in, a deployable one out, within a bound on time.

The teacher is judged and answers; candidates are exported untrained and measured; those that fit
are tried out; the best is trained, quantized, exported and proven by an ordinary pipeline.
"""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.deploy import timing
from edgekd.deploy.budget import parse_budget
from edgekd.deploy.draft import Draft, default_name
from edgekd.deploy.end import Seen, end_seconds
from edgekd.deploy.request import augment_fields, data_fields, teacher_fields
from edgekd.deploy.told import (
    candidate_line,
    check_teacher,
    nothing_fits,
    record,
    why_missed,
)
from edgekd.deploy.training import Training
from edgekd.deploy.trial import LEAST_STEPS, Trials, epoch_seconds, step_seconds
from edgekd.deploy.watch import Clock, Watched
from edgekd.errors import BudgetMissed, ConfigError
from edgekd.pipeline import RunResult
from edgekd.progress import SILENT, Progress
from edgekd.propose.candidates import COPY, Candidate, Family, copies, zoo_families
from edgekd.propose.fitting import WEIGHTS_LEFT, Outcome, best_of_families, propose
from edgekd.propose.measure import Measured, measure_untrained

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset


@dataclass(frozen=True)
class Compressed:
    """What came out."""

    result: RunResult
    """The run, as of any pipeline."""
    pipeline_file: Path
    """The pipeline that it was: `edgekd run` of it finds every stage finished."""
    missed: BudgetMissed | None
    """Which limits were missed and why; None where all are kept."""


def compress(
    model: str,
    *,
    data: str,
    budget: str,
    weights: Path | None = None,
    minutes: float = 20.0,
    name: str | None = None,
    runs: Path = Path("runs"),
    candidates: int | None = None,
    epochs: int | None = None,
    overrides: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Compressed:
    """Makes a small int8 model of a trained one.

    Args:
        model: a saved model's folder, an .onnx file, a factory or a network's name.
        data: a name, an .npz file, a folder or .zip, or a pipeline file whose `data` is taken.
        budget: such as "40 kB, 2 ms, -1 %".
        weights: of a factory or a zoo network.
        minutes: bound on the whole command. Where it is short, fewer candidates are measured, none
            is tried out, the training is cut and fewer files are made. What is looked at between
            epochs and stages only may come on top: one epoch, and what takes longer at the end
            than was measured.
        name: of the run folder.
        candidates: most that are measured; as many as the time allows if left out.
        epochs: most of the training; timing.MOST_EPOCHS if left out.
        overrides: "key.path=value" of the pipeline file.

    Raises:
        ConfigError: the arguments are wrong, or the bound was over before a student could be
            exported; says the least.
        BudgetMissed: no candidate keeps the limits of size and time; nothing was trained.
        EdgekdError: a stage failed.
    """
    limits = parse_budget(budget)
    draft = Draft(
        name or default_name(model),
        data_fields(data),
        teacher_fields(model, weights),
        limits,
        tuple(overrides),
        Path(runs),
        minutes * 60,
    )
    clock = Clock(minutes * 60)
    watched = Watched(progress, clock)
    command = _Command(draft, clock, watched, timing.Caps(candidates, epochs))
    watched.outline(draft.raw["name"], ["data", "teacher", "softlabels", "candidates", "trials"])
    command.prepare(own_augment=data.endswith((".yaml", ".yml")))
    outcomes, left = command.measure()
    fitting = best_of_families(outcomes)
    if not fitting:
        record(draft.folder, outcomes, left, [], None)
        raise nothing_fits(outcomes, left, limits, clock)
    winner, trials = command.choose(fitting)
    record(draft.folder, outcomes, left, trials, winner)
    result, plan = command.make(winner)
    return Compressed(result, draft.file, why_missed(result, winner.candidate, plan, command.caps))


class _Command:
    """One call, with what is known so far."""

    def __init__(self, draft: Draft, clock: Clock, progress: Watched, caps: timing.Caps) -> None:
        self.draft, self.clock, self.progress, self.caps = draft, clock, progress, caps
        self.networks: dict[Candidate, nn.Module] = {}
        self.steps: dict[Candidate, float] = {}
        self.measured: list[Measured] = []
        self.teacher_forward = 0.0

    def prepare(self, *, own_augment: bool) -> None:
        """Data, teacher and its soft labels, each a stage of the pipeline to come."""
        from edgekd.data.dataset import load

        draft = self.draft
        data = load(draft.artefact(draft.run("data", self.progress), "data"))
        spec: Any = data.spec
        if not own_augment and hasattr(spec, "kind"):
            draft.augment(augment_fields(spec.kind, spec.shape, len(data.train)))
        result = draft.run("teacher", self.progress)
        for stage in result.summary.stages:
            for warning in stage.warnings:
                self.progress.message(f"note: {warning}")
        self.progress.message(check_teacher(result.summary, data))
        self.progress.stage_started("softlabels")
        self._bound_soft_labels(data, draft.artefact(result, "teacher"))
        result = draft.run("softlabels", self.progress)
        folders = {stage: draft.artefact(result, stage) for stage in ("teacher", "softlabels")}
        self.data = load(draft.artefact(result, "data"))
        self.trials = Trials(self.data, draft.pipeline(), draft.folder, folders)

    def _bound_soft_labels(self, data: Dataset, teacher: Path) -> None:
        """Takes fewer views where the teacher would answer them for too long."""
        from edgekd import inputs
        from edgekd.stages.teachers import finished_teacher
        from edgekd.train.evaluate import predict_logits

        network = finished_teacher(teacher, self.draft.folder).model
        split = data.validation
        count = min(256, len(split))
        x = inputs.take(split.x, slice(0, count))
        some = dataclasses.replace(split, x=x, y=split.y[:count])
        started = time.perf_counter()
        predict_logits(network, some, data.spec)
        self.teacher_forward = (time.perf_counter() - started) / count
        each = self.teacher_forward * len(data.train)
        affordable = max(1, int(timing.SOFT_LABELS * self.clock.bound / each))
        if affordable < self.draft.pipeline().data.augment.view_count:
            self.draft.views(affordable)

    def measure(self) -> tuple[list[Outcome], list[str]]:
        """The files of untrained candidates, measured.

        Raises:
            ConfigError: the time was over before; says the least, by one candidate.
        """
        late = self.clock.left <= 0
        self.progress.stage_started("candidates")
        size = self.draft.budget.size
        most = None if size is None else int(size / WEIGHTS_LEFT)
        families = zoo_families(self.data, self.draft.folder, most)
        given = self._copies()
        if given is not None:
            families.append(given)
        began = self.clock.spent

        def may_go_on(found: bool) -> bool:
            if late or len(self.measured) >= (self.caps.candidates or sys.maxsize):
                return False
            longest = max((m.export_seconds for m in self.measured), default=0.0)
            end = self._end(self.measured[-1]) if self.measured else 0.0
            share = timing.MEASURING if found else timing.SEARCHING
            within = self.clock.spent + longest < began + share * self.clock.bound
            return within and self.clock.left > end + longest

        outcomes, left = propose(families, self.draft.budget, self._measure, may_go_on, self._tell)
        if late and self.measured:
            raise self._too_short(self.measured[-1])
        heavy = [o.candidate.family for o in outcomes if o.by_weights]
        if heavy:
            self.progress.message(f"  too many weights for the size: {', '.join(heavy)}")
        fit = sum(outcome.fits for outcome in outcomes)
        note = f"{len(self.measured)} measured untrained, {fit} of them fit"
        if left:
            full = len(self.measured) >= (self.caps.candidates or sys.maxsize)
            why = "because of --candidates" if full else "for want of time"
            note += f"; not measured, {why}: {', '.join(left)}"
        seconds = self.clock.spent - began
        self.progress.stage_finished("candidates", cached=False, seconds=seconds, note=note)
        return outcomes, left

    def _tell(self, outcome: Outcome) -> None:
        self.progress.message(candidate_line(outcome))

    def _copies(self) -> Family | None:
        from edgekd.stages.networks import saved_network

        if self.draft.pipeline().teacher.onnx is not None:
            return None
        network = saved_network(self.trials.artefacts["teacher"], self.draft.folder).model
        target: Literal["macs", "parameters"] = (
            "macs" if self.draft.budget.size is None else "parameters"
        )
        return copies(network, self.data, target)

    def _measure(self, candidate: Candidate, family: Family) -> Measured:
        network = family.build(candidate)
        self.networks[candidate] = network
        measured = measure_untrained(candidate, network, self.data, self.draft.budget)
        self.measured.append(measured)
        return measured

    def _too_short(self, measured: Measured) -> ConfigError:
        batch = self.draft.batch_size(len(self.data.train))
        self.draft.lean()
        epoch = epoch_seconds(self._step(measured.candidate), batch, self.data)
        least = timing.least_minutes(self.clock.spent, epoch, self._end(measured))
        return ConfigError(
            f"--minutes {self.clock.bound / 60:g} were over before a student could be exported.",
            where="the model's answers to the data took that long",
            fix=f"--minutes {least}; the model's answers are kept for it",
        )

    def choose(self, fitting: Sequence[Measured]) -> tuple[Measured, list[Any]]:
        """The candidate that learns best in a short time, by successive halving; without the time
        for that the largest, or rather a copy, which has learnt already.
        """
        if len(fitting) == 1:
            return fitting[0], []
        end = max(self._end(measured) for measured in fitting)
        seconds = min(timing.TRIALS * self.clock.bound, (self.clock.left - end) / 3)
        count = 1
        if seconds > 0:
            steps = [self._step(m.candidate) for m in fitting[: timing.MOST_ENTRANTS]]
            count = timing.entrants(len(fitting), seconds, LEAST_STEPS * max(steps))
        if count < 2:
            self.progress.message("no trials, for want of time")
            known = [m for m in fitting if m.candidate.family == COPY]
            return (known or list(fitting))[0], []
        self.progress.stage_started("trials")
        began = self.clock.spent

        def run(measured: Measured, for_seconds: float) -> float:
            candidate = measured.candidate
            train = self.draft.train_settings(
                candidate, len(self.data.train), self.caps.epochs_of(candidate)
            )
            step = self._step(candidate)
            network = self.networks[candidate]
            score = self.trials.score(network, train, for_seconds, step)
            self.progress.message(f"  {candidate.label:32} {score:7.1%} after a trial")
            return score

        winner, trials = timing.halving(fitting[:count], seconds, run)
        took = self.clock.spent - began
        note = f"{count} candidates, {winner.candidate.label} learns best"
        self.progress.stage_finished("trials", cached=False, seconds=took, note=note)
        return winner, trials

    def _step(self, candidate: Candidate) -> float:
        if candidate not in self.steps:
            batch = self.draft.batch_size(len(self.data.train))
            self.steps[candidate] = step_seconds(self.networks[candidate], self.data, batch)
        return self.steps[candidate]

    def _end(self, measured: Measured) -> float:
        exports = tuple(m.export_seconds for m in self.measured)
        seen = Seen(len(self.data.test), self.teacher_forward, exports)
        return end_seconds(self.draft.pipeline(), measured, seen)

    def make(self, winner: Measured) -> tuple[RunResult, timing.Epochs]:
        """Trains, quantizes, exports and proves the winner."""
        candidate, data = winner.candidate, self.data
        batch = self.draft.batch_size(len(data.train))
        most = self.caps.epochs_of(candidate)
        epoch = epoch_seconds(self._step(candidate), batch, data)
        costs = timing.Costs(epoch, epoch, self._end(winner))
        if self.clock.left > costs.finish + epoch:
            qat = step_seconds(self.networks[candidate], data, batch, qat=True)
            costs = replace(costs, qat_epoch=epoch_seconds(qat, batch, data))
        if timing.plan_epochs(self.clock.left, costs, most).train < min(most, timing.FEW_EPOCHS):
            self.draft.lean()
            self.progress.message(
                f"the time is short: only the int8 {self.draft.pipeline().deployed_format} file "
                "is made of the student, and no quality stage"
            )
            costs = replace(costs, finish=self._end(winner))
        training = Training(self.draft, self.clock, self.progress)
        return training.make(candidate, costs, batch, self.caps)
