"""Training the chosen student stage by stage, with a look at the clock between and within them."""

from __future__ import annotations

import shutil
from typing import Any

from edgekd.deploy import timing
from edgekd.deploy.draft import Draft
from edgekd.deploy.watch import Clock, OutOfTime, Watched
from edgekd.pipeline import RunResult, run
from edgekd.plan import make_plan
from edgekd.propose.candidates import COPY, Candidate
from edgekd.stages.base import CHECKPOINT
from edgekd.store import Store


class Training:
    """The rest of the command once the student is known."""

    def __init__(self, draft: Draft, clock: Clock, progress: Watched) -> None:
        self.draft, self.clock, self.progress = draft, clock, progress

    def make(
        self, candidate: Candidate, costs: timing.Costs, batch_size: int, caps: timing.Caps
    ) -> tuple[RunResult, timing.Epochs]:
        """Trains, quantizes, exports, proves; returns the run and the epochs that there were."""
        most = caps.epochs_of(candidate)
        plan = timing.plan_epochs(self.clock.left, costs, most, caps.qat)
        self.draft.take(candidate, plan.train, batch_size)
        self.draft.quantize(plan.qat, batch_size)
        self._tell(candidate, plan, costs)
        if most:
            stage = "prune" if candidate.family == COPY else "distill"
            self._watched(stage, costs.finish + min(plan.qat, timing.LEAST_QAT) * costs.qat_epoch)
            left = timing.plan_epochs(self.clock.left, costs, 0, caps.qat)
            plan = timing.Epochs(plan.train, left.qat)
            self.draft.quantize(plan.qat, batch_size)
        if plan.qat:
            self._watched("quantize", costs.finish)
        self.progress.reserve = None
        file = self.draft.write()
        return run(file, runs=self.draft.runs, progress=self.progress), plan

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

    def _watched(self, stage: str, reserve: float) -> None:
        """Runs up to a stage; where its training would end too late, it is cut and kept so."""
        self.progress.reserve = reserve
        try:
            self.draft.run(stage, self.progress)
        except OutOfTime as stop:
            self._cut(stage, stop.epoch)
            self.progress.message(f"the time is short: {stage} ends after epoch {stop.epoch}")
            self.progress.reserve = None
            self.draft.run(stage, self.progress)

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
