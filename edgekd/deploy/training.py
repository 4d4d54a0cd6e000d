"""Training the chosen student stage by stage, with a look at the clock between and within them."""

from __future__ import annotations

import shutil
from dataclasses import replace
from typing import Any

from edgekd import pipeline
from edgekd.deploy import timing
from edgekd.deploy.known import Known
from edgekd.deploy.trial import epoch_seconds, step_seconds
from edgekd.deploy.watch import OutOfTime
from edgekd.pipeline import RunResult
from edgekd.plan import make_plan
from edgekd.propose.candidates import COPY, Candidate
from edgekd.propose.measure import Measured
from edgekd.stages.base import CHECKPOINT
from edgekd.store import Store


def make(known: Known, winner: Measured) -> tuple[RunResult, timing.Epochs]:
    """Trains, quantizes, exports and proves a candidate; returns the run and its epochs."""
    candidate, data, batch = winner.candidate, known.data, known.batch_size
    most = known.caps.epochs_of(candidate)
    epoch = epoch_seconds(known.step(candidate), batch, data)
    costs = timing.Costs(epoch, epoch, known.end(winner))
    if known.clock.left > costs.finish + epoch:
        qat = step_seconds(known.networks[candidate], data, batch, qat=True)
        costs = replace(costs, qat_epoch=epoch_seconds(qat, batch, data))
    training = _Training(known, winner)
    if timing.plan_epochs(known.clock.left, costs, most).train < min(most, timing.FEW_EPOCHS):
        costs = training.lean(costs)
    return training.run(costs)


class _Training:
    """The rest of the command once the student is known."""

    def __init__(self, known: Known, winner: Measured) -> None:
        self.known, self.winner = known, winner
        self.draft, self.clock, self.progress = known.draft, known.clock, known.progress

    def run(self, costs: timing.Costs) -> tuple[RunResult, timing.Epochs]:
        """The stages one by one; what is left is planned again after each, by what it took."""
        candidate, caps, batch = self.winner.candidate, self.known.caps, self.known.batch_size
        most = caps.epochs_of(candidate)
        plan = timing.plan_epochs(self.clock.left, costs, most, caps.qat)
        self.draft.take(candidate, plan.train, batch)
        self.draft.quantize(plan.qat, batch)
        self._tell(candidate, plan, costs)
        if most:
            stage = "prune" if candidate.family == COPY else "distill"
            reserve = costs.finish + min(plan.qat, timing.LEAST_QAT) * costs.qat_epoch
            costs = costs.slower(self._watched(stage, reserve, costs.epoch))
            left = timing.plan_epochs(self.clock.left, costs, 0, caps.qat)
            plan = timing.Epochs(plan.train, left.qat)
            self.draft.quantize(plan.qat, batch)
        if plan.qat:
            costs = costs.slower(self._watched("quantize", costs.finish, costs.qat_epoch))
        self.progress.unwatch()
        if self.clock.left < costs.finish and not self.draft.leaned:
            self.lean(costs)
        file = self.draft.write()
        return pipeline.run(file, runs=self.draft.runs, progress=self.progress), plan

    def lean(self, costs: timing.Costs) -> timing.Costs:
        """Makes the end shorter, and says so."""
        self.draft.lean()
        self.progress.message(
            f"the time is short: only the int8 {self.draft.pipeline().deployed_format} file "
            "is made of the student, and no quality stage"
        )
        return replace(costs, finish=self.known.end(self.winner))

    def _tell(self, candidate: Candidate, plan: timing.Epochs, costs: timing.Costs) -> None:
        qat = f"about {plan.qat} through the quantizer" if plan.qat else "then calibration only"
        training = f"{plan.train} {'epoch' if plan.train == 1 else 'epochs'}, {qat}"
        if not plan.train:
            training = f"not trained, {qat}"
        self.progress.message(f"student: {candidate.label}; {training}")
        needed = plan.train * costs.epoch + plan.qat * costs.qat_epoch + costs.finish
        late = needed - self.clock.left
        if late > 0:
            self.progress.message(
                f"the time is too short by about {late:.0f} s, which the end comes late"
            )
        stages = [node.name for node in make_plan(self.draft.pipeline(), self.draft.folder)]
        self.progress.outline(self.draft.raw["name"], stages)

    def _watched(self, stage: str, reserve: float, epoch: float) -> float:
        """Runs up to a stage; where its training would end too late, it is cut and kept so.

        Returns:
            How many times longer its epochs took than was planned.
        """
        self.progress.watch(reserve, epoch)
        try:
            self.draft.run(stage, self.progress)
        except OutOfTime as stop:
            self._cut(stage, stop.epoch)
            self.progress.message(f"the time is short: {stage} ends after epoch {stop.epoch}")
            slowness = self.progress.unwatch()
            self.draft.run(stage, self.progress)
            return slowness
        return self.progress.unwatch()

    def _cut(self, stage: str, epoch: int) -> None:
        """Sets `stop_after`, and gives the checkpoint to the stage under its new key."""
        before = self._key(stage)
        fields: dict[str, Any] = self.draft.raw[stage]
        fields["train"] = {**fields["train"], "stop_after": epoch}
        store = Store(self.draft.folder)
        old = store.work / f"{stage}-{before}" / CHECKPOINT
        new = store.work / f"{stage}-{self._key(stage)}" / CHECKPOINT
        if old.is_dir():
            shutil.rmtree(new, ignore_errors=True)
            new.parent.mkdir(parents=True, exist_ok=True)
            old.rename(new)
            shutil.rmtree(old.parent, ignore_errors=True)

    def _key(self, stage: str) -> str:
        nodes = make_plan(self.draft.pipeline(), self.draft.folder)
        return next(node.key for node in nodes if node.stage == stage)
