"""`edgekd compress`: a trained model in, a deployable one out, within a bound on time.

The teacher is judged and answers; candidates are exported untrained and measured; those that fit
are tried out; the best is trained, quantized, exported and proven by an ordinary pipeline.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.data.command_source import data_fields
from edgekd.deploy import timing
from edgekd.deploy.budget import parse_budget
from edgekd.deploy.choosing import choose
from edgekd.deploy.draft import Draft, default_name
from edgekd.deploy.measuring import measure
from edgekd.deploy.prepare import prepare
from edgekd.deploy.request import teacher_fields, window_of
from edgekd.deploy.told import nothing_fits, record, why_missed
from edgekd.deploy.training import make
from edgekd.deploy.watch import Clock, Watched
from edgekd.errors import BudgetMissed
from edgekd.pipeline import RunResult
from edgekd.progress import SILENT, Progress
from edgekd.propose.fitting import best_of_families


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
        model: a saved model's folder, an .onnx or .keras file, a factory or a network's name.
        data: a name, an .npz file, a table, a folder or .zip, or a pipeline file whose `data` is
            taken.
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
    teacher = teacher_fields(model, weights)
    draft = Draft(
        name or default_name(model),
        data_fields(data, window_of(teacher)),
        teacher,
        limits,
        tuple(overrides),
        Path(runs),
        minutes * 60,
    )
    clock = Clock(minutes * 60)
    watched = Watched(progress, clock)
    caps = timing.Caps(candidates, epochs)
    watched.outline(draft.raw["name"], ["data", "teacher", "softlabels", "candidates", "trials"])
    known = prepare(draft, clock, watched, caps, own_augment=data.endswith((".yaml", ".yml")))
    outcomes, left = measure(known)
    fitting = best_of_families(outcomes)
    if not fitting:
        record(draft.folder, outcomes, left, [], None)
        raise nothing_fits(outcomes, left, limits, clock)
    winner, trials = choose(known, fitting)
    record(draft.folder, outcomes, left, trials, winner)
    result, plan = make(known, winner)
    return Compressed(result, draft.file, why_missed(result, winner.candidate, plan, caps))
