"""The check of a run: its budget, and the rules against a released run."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.gate import GateSettings, RegressionSettings
from edgekd.config.load import read_yaml, validate
from edgekd.errors import BudgetMissed, ConfigError
from edgekd.gates.budget import judge_budget
from edgekd.gates.finding import Finding
from edgekd.gates.judged import open_run
from edgekd.gates.regression import judge_regression
from edgekd.results import Summary
from edgekd.runtimes.exported import read_exported


def check_run(
    folder: Path,
    summary: Summary,
    *,
    budget: Path | None = None,
    baseline: tuple[Path, Summary] | None = None,
) -> list[Finding]:
    """The verdict on every limit and rule.

    Args:
        folder: a run folder, and its summary.
        budget: a YAML file of `GateSettings`; the budget of the run's own pipeline if left out.
        baseline: the released run's folder and summary.

    Raises:
        ConfigError: the budget file is wrong, there is nothing to check, or the baseline is a run
            of something else.
        StageError: a run has no exported file, or its folder is damaged.
    """
    given = None if budget is None else read_gate(budget)
    run = open_run(folder, summary, given.format if given else None)
    read_exported(folder, run.file.path)  # that the figures are of the file that lies there
    limits = given or GateSettings.model_validate(run.pipeline.budget.model_dump())
    if limits.regression is not None and baseline is None:
        raise ConfigError(
            "The budget file has rules against a released run, and none is given.",
            where=f"{budget}, regression",
            fix="add --baseline RUN, or take `regression` away",
        )
    found = judge_budget(run, limits)
    if baseline is not None:
        base = open_run(*baseline, run.file.format)
        found += judge_regression(run, base, limits.regression or RegressionSettings())
    if not found:
        raise ConfigError(
            "There is nothing to check: the budget has no limit.",
            where=str(budget or folder),
            fix="give limits in the pipeline's `budget` or by --budget FILE, or a --baseline RUN",
        )
    return found


def read_gate(path: Path) -> GateSettings:
    """A budget file.

    Raises:
        ConfigError: it is missing, or a field is wrong.
    """
    if not path.is_file():
        raise ConfigError(f"There is no budget file {path}.", where=str(path.absolute()))
    raw, lines = read_yaml(path)
    return validate(GateSettings, raw, path, lines)


def missed(found: list[Finding], folder: Path) -> BudgetMissed | None:
    """The error of a check that fails."""
    failing = [finding for finding in found if finding.fails]
    if not failing:
        return None
    what = "; ".join(f"{f.rule} {f.outcome}: {f.found}, {f.limit}" for f in failing[:6])
    more = f"; and {len(failing) - 6} more" if len(failing) > 6 else ""
    return BudgetMissed(
        f"The check fails: {what}{more}.",
        where=str(folder),
        fix="see the run's report; what is unverified needs a measurement, or more test samples",
    )
