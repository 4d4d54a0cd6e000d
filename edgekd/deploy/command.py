"""`edgekd compress`: a trained model in, a deployable one out, within a bound on time.

The teacher is judged and answers; candidates are exported untrained and measured; those that fit
are tried out; the best is trained, quantized, exported and proven by an ordinary pipeline.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.deploy import timing
from edgekd.deploy.budget import parse_budget
from edgekd.deploy.draft import Draft, default_name, quality_seconds
from edgekd.deploy.request import augment_fields, data_fields, teacher_fields
from edgekd.deploy.told import (
    candidate_lines,
    check_teacher,
    nothing_fits,
    record,
    why_missed,
)
from edgekd.deploy.training import Training
from edgekd.deploy.trial import LEAST_STEPS, Trials, epoch_seconds, step_seconds
from edgekd.deploy.watch import Clock, Watched
from edgekd.errors import BudgetMissed, StageError
from edgekd.pipeline import RunResult
from edgekd.progress import SILENT, Progress
from edgekd.propose.candidates import Candidate, Family, copies, zoo_families
from edgekd.propose.fitting import WEIGHTS_LEFT, Outcome, best_of_families, propose
from edgekd.propose.measure import Measured, measure_untrained

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset

RUNTIME_START = 2.5
"""Seconds that a measuring process takes beside its measuring."""
REPORTING = 8.0
"""Seconds of parity, report and everything else at the end."""


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
    overrides: Sequence[str] = (),
    progress: Progress = SILENT,
) -> Compressed:
    """Makes a small int8 model of a trained one.

    Args:
        model: a saved model's folder, an .onnx file, a factory or a network's name.
        data: a name, an .npz file, a folder or .zip, or a pipeline file whose `data` is taken.
        budget: such as "40 kB, 2 ms, -1 %".
        weights: of a factory or a zoo network.
        minutes: bound on the whole command. It is looked at after every epoch, so one epoch, the
            calibration and what takes longer at the end than was measured may come on top.
        name: of the run folder.
        overrides: "key.path=value" of the pipeline file.

    Raises:
        ConfigError: the arguments are wrong, or the bound is too short; says the least.
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
    command = _Command(draft, clock, Watched(progress, clock))
    command.prepare(own_augment=data.endswith((".yaml", ".yml")))
    outcomes, left = command.measure()
    fitting = best_of_families(outcomes)
    if not fitting:
        record(draft.folder, outcomes, left, [], None)
        raise nothing_fits(outcomes, left, limits)
    winner, trials = command.choose(fitting)
    record(draft.folder, outcomes, left, trials, winner)
    result, epochs = command.make(winner)
    return Compressed(result, draft.file, why_missed(result, winner.candidate, epochs))


class _Command:
    """One call, with what is known so far."""

    def __init__(self, draft: Draft, clock: Clock, progress: Watched) -> None:
        self.draft, self.clock, self.progress = draft, clock, progress
        self.networks: dict[Candidate, nn.Module] = {}
        self.steps: dict[Candidate, float] = {}
        self.whole: Measured | None = None
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
        """The files of untrained candidates, measured."""
        size = self.draft.budget.size
        most = None if size is None else int(size / WEIGHTS_LEFT)
        families = zoo_families(self.data, self.draft.folder, most)
        given = self._copies()
        if given is not None:
            families.append(given)
        began, bound = self.clock.spent, self.clock.bound

        def may_go_on(found: bool) -> bool:
            share = timing.MEASURING if found else timing.SEARCHING
            return self.clock.spent < began + share * bound

        outcomes, left = propose(families, self.draft.budget, self._measure, may_go_on)
        for line in candidate_lines(outcomes, left):
            self.progress.message(line)
        return outcomes, left

    def _copies(self) -> Family | None:
        from edgekd.stages.networks import saved_network

        if self.draft.pipeline().teacher.onnx is not None:
            return None
        network = saved_network(self.trials.artefacts["teacher"], self.draft.folder).model
        target: Literal["macs", "parameters"] = (
            "macs" if self.draft.budget.size is None else "parameters"
        )
        family = copies(network, self.data, target)
        self._measure_whole(family)
        return family

    def _measure_whole(self, family: Family) -> None:
        """The model itself, to see what its own export costs; a failure is told later."""
        try:
            self.whole = self._measure(family.members[-1], family)
        except StageError as error:
            self.progress.message(f"note: the model itself cannot be exported: {error.what}")

    def _measure(self, candidate: Candidate, family: Family) -> Measured:
        if self.whole is not None and candidate == self.whole.candidate:
            return self.whole
        network = family.build(candidate)
        self.networks[candidate] = network
        measured = measure_untrained(candidate, network, self.data, self.draft.budget)
        self.progress.message(
            f"  {candidate.label}: {measured.bytes / 1000:.1f} kB, {measured.p50 / 1000:.3f} ms"
        )
        return measured

    def choose(self, fitting: Sequence[Measured]) -> tuple[Measured, list[Any]]:
        """The candidate that learns best in a short time, by successive halving."""
        finish = max(self._finish(measured) for measured in fitting)
        seconds = min(timing.TRIALS * self.clock.bound, (self.clock.left - finish) / 3)
        steps = [self._step(measured.candidate) for measured in fitting[: timing.MOST_ENTRANTS]]
        least = LEAST_STEPS * max(steps)
        count = timing.entrants(len(fitting), seconds, least)
        if count < 2:
            return fitting[0], []

        def run(measured: Measured, for_seconds: float) -> float:
            candidate = measured.candidate
            train = self.draft.train_settings(candidate, len(self.data.train))
            step = self._step(candidate)
            network = self.networks[candidate]
            score = self.trials.score(network, train, for_seconds, step)
            self.progress.message(f"  {candidate.label}: {score:.1%} after a trial")
            return score

        self.progress.message(f"trials of {count} candidates, about {seconds:.0f} s in all")
        return timing.halving(fitting[:count], seconds, run)

    def _step(self, candidate: Candidate) -> float:
        if candidate not in self.steps:
            batch = self.draft.batch_size(len(self.data.train))
            self.steps[candidate] = step_seconds(self.networks[candidate], self.data, batch)
        return self.steps[candidate]

    def _finish(self, measured: Measured) -> float:
        """Seconds from the trained student to the report: files of both precisions and formats,
        and each measured with its accuracy.
        """
        tests = len(self.data.test)
        whole = self.whole
        teacher = 2 * whole.seconds if whole is not None else 0.0
        answering = whole.p50 * 4e-6 if whole is not None else self.teacher_forward
        files = 6 if whole is not None else 5
        return (
            4 * measured.seconds
            + teacher
            + 2 * files * RUNTIME_START
            + tests * (measured.p50 * 5e-6 + answering)
            + quality_seconds(self.clock.bound)
            + REPORTING
        )

    def make(self, winner: Measured) -> tuple[RunResult, timing.Epochs]:
        """Trains, quantizes, exports and proves the winner."""
        candidate, data = winner.candidate, self.data
        batch = self.draft.batch_size(len(data.train))
        qat = step_seconds(self.networks[candidate], data, batch, qat=True)
        costs = timing.Costs(
            epoch_seconds(self._step(candidate), batch, data),
            epoch_seconds(qat, batch, data),
            self._finish(winner),
        )
        training = Training(self.draft, self.clock, self.progress)
        return training.make(candidate, costs, batch)
