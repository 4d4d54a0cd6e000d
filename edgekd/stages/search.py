"""Search: the exported, untrained files of candidates, measured; who may be trained."""

from __future__ import annotations

from typing import Any

from edgekd.config.base import Settings
from edgekd.config.search import ObjectiveSettings, SearchSettings
from edgekd.errors import BudgetMissed
from edgekd.stages.base import Job, Made
from edgekd.store import write_json


class SearchStage(Settings):
    """What the stage may know."""

    search: SearchSettings
    """Who is looked at."""
    objective: ObjectiveSettings
    """Who may be trained."""
    devices: dict[str, Any]
    """The profiles of the objective's devices."""
    machine: dict[str, Any]
    """This machine: figures of another one are not taken over."""


def run(job: Job[SearchStage]) -> Made:
    """Writes `candidates.json`: those that fit first, by how much they compute.

    Raises:
        BudgetMissed: none keeps the objective; says what the nearest need.
        StageError: a network does not take such samples.
    """
    from edgekd.data.dataset import load
    from edgekd.propose.candidates import Candidate, Family, chosen_families
    from edgekd.propose.fitting import Outcome, survey
    from edgekd.propose.measure import Measured, measure_untrained
    from edgekd.propose.told import FILE, candidate_line, candidate_rows, nearest

    data = load(job.inputs["data"])
    search, budget = job.settings.search, job.settings.objective.budget
    families = chosen_families(search.models, search.widths, data, job.base)

    def measure(candidate: Candidate, family: Family) -> Measured:
        return measure_untrained(candidate, family.build(candidate), data, budget)

    def told(outcome: Outcome) -> None:
        job.progress.message(candidate_line(outcome))

    outcomes = survey(families, budget, measure, told)
    fit = sum(outcome.fits for outcome in outcomes)
    if not fit:
        reasons = "; ".join(dict.fromkeys(r for o in outcomes for r in o.reasons))
        raise BudgetMissed(
            "No candidate keeps the objective, so nothing was trained.",
            where=nearest(outcomes) or reasons,
            fix="raise student.objective to what these need, or add smaller widths",
        )
    write_json(job.out / FILE, {"candidates": candidate_rows(outcomes)})
    return Made(note=f"{len(outcomes)} candidates, {fit} of them fit")
