"""Candidates' files, measured before any training."""

from __future__ import annotations

import sys
from typing import Literal

from edgekd.deploy import timing
from edgekd.deploy.known import Known
from edgekd.deploy.trial import epoch_seconds
from edgekd.errors import ConfigError
from edgekd.propose.candidates import Candidate, Family, copies, zoo_families
from edgekd.propose.fitting import WEIGHTS_LEFT, Outcome, propose
from edgekd.propose.measure import Measured, measure_untrained
from edgekd.propose.told import candidate_line


def measure(known: Known) -> tuple[list[Outcome], list[str]]:
    """The files of untrained candidates, measured.

    Raises:
        ConfigError: the time was over before; says the least, by one candidate.
    """
    late = known.clock.left <= 0
    known.progress.stage_started("candidates")
    size = known.draft.budget.size
    most = None if size is None else int(size / WEIGHTS_LEFT)
    families = zoo_families(known.data, known.draft.folder, most)
    given = _copies(known)
    if given is not None:
        families.append(given)
    began = known.clock.spent

    def may_go_on(found: bool) -> bool:
        if late or len(known.measured) >= (known.caps.candidates or sys.maxsize):
            return False
        longest = max((m.export_seconds for m in known.measured), default=0.0)
        end = known.end(known.measured[-1]) if known.measured else 0.0
        share = timing.MEASURING if found else timing.SEARCHING
        within = known.clock.spent + longest < began + share * known.clock.bound
        return within and known.clock.left > end + longest

    def measure_one(candidate: Candidate, family: Family) -> Measured:
        network = family.build(candidate)
        known.networks[candidate] = network
        found = measure_untrained(candidate, network, known.data, known.draft.budget)
        known.measured.append(found)
        return found

    def tell(outcome: Outcome) -> None:
        known.progress.message(candidate_line(outcome))

    outcomes, left = propose(families, known.draft.budget, measure_one, may_go_on, tell)
    if late and known.measured:
        raise _too_short(known, known.measured[-1])
    heavy = [o.candidate.family for o in outcomes if o.by_weights]
    if heavy:
        known.progress.message(f"  too many weights for the size: {', '.join(heavy)}")
    fit = sum(outcome.fits for outcome in outcomes)
    note = f"{len(known.measured)} measured untrained, {fit} of them fit"
    if left:
        full = len(known.measured) >= (known.caps.candidates or sys.maxsize)
        why = "because of --candidates" if full else "for want of time"
        note += f"; not measured, {why}: {', '.join(left)}"
    seconds = known.clock.spent - began
    known.progress.stage_finished("candidates", cached=False, seconds=seconds, note=note)
    return outcomes, left


def _copies(known: Known) -> Family | None:
    from edgekd.stages.networks import saved_network

    if known.draft.pipeline().teacher.onnx is not None:
        return None
    network = saved_network(known.trials.artefacts["teacher"], known.draft.folder).model
    target: Literal["macs", "parameters"] = (
        "macs" if known.draft.budget.size is None else "parameters"
    )
    return copies(network, known.data, target)


def _too_short(known: Known, measured: Measured) -> ConfigError:
    known.draft.lean()
    epoch = epoch_seconds(known.step(measured.candidate), known.batch_size, known.data)
    least = timing.least_minutes(known.clock.spent, epoch, known.end(measured))
    return ConfigError(
        f"--minutes {known.clock.bound / 60:g} were over before a student could be exported.",
        where="the model's answers to the data took that long",
        fix=f"--minutes {least}; the model's answers are kept for it",
    )
