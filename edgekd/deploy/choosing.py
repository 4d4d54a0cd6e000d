"""Which of the candidates that fit is trained to the end."""

from __future__ import annotations

from collections.abc import Sequence

from edgekd.deploy import timing
from edgekd.deploy.known import Known
from edgekd.deploy.trial import LEAST_STEPS, epoch_seconds
from edgekd.propose.candidates import COPY
from edgekd.propose.measure import Measured
from edgekd.spec import HEADLINE
from edgekd.tasks import names

Trial = tuple[Measured, float, float]
"""A candidate, the seconds of its trial, its score."""


def choose(known: Known, fitting: Sequence[Measured]) -> tuple[Measured, list[Trial]]:
    """The candidate that learns best in a short time, by successive halving; without the time
    for that the largest, or rather a copy, which has learnt already.
    """
    if len(fitting) == 1:
        return fitting[0], []
    end = max(known.end(measured) for measured in fitting)
    seconds = min(timing.TRIALS * known.clock.bound, (known.clock.left - end) / 3)
    count = 1
    if seconds > 0:
        slowest = max(known.step(m.candidate) for m in fitting[: timing.MOST_ENTRANTS])
        epoch = epoch_seconds(slowest, known.batch_size, known.data)
        if timing.worth_trials(known.clock.left - end - seconds, epoch):
            count = timing.entrants(len(fitting), seconds, LEAST_STEPS * slowest)
    if count < 2:
        known.progress.message("no trials, for want of time")
        learnt = [m for m in fitting if m.candidate.family == COPY]
        return (learnt or list(fitting))[0], []
    known.progress.stage_started("trials")
    began = known.clock.spent

    def run(measured: Measured, for_seconds: float) -> float:
        candidate = measured.candidate
        train = known.draft.train_settings(
            candidate, len(known.data.train), known.caps.epochs_of(candidate)
        )
        step = known.step(candidate)
        network = known.networks[candidate]
        score = known.trials.score(network, train, for_seconds, step)
        shown = names.shown(score, HEADLINE[known.data.task])
        known.progress.message(f"  {candidate.label:32} {shown:>8} after a trial")
        return score

    winner, trials = timing.halving(fitting[:count], seconds, run)
    took = known.clock.spent - began
    note = f"{count} candidates, {winner.candidate.label} learns best"
    known.progress.stage_finished("trials", cached=False, seconds=took, note=note)
    return winner, trials
