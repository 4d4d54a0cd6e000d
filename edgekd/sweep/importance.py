"""Which fields mattered: fANOVA (Hutter, Hoos, Leyton-Brown 2014, "An Efficient Approach for
Assessing Hyperparameter Importance"), by Optuna.
"""

from __future__ import annotations

from collections.abc import Sequence

from edgekd.config.sweep import ACCURACY, SweepSettings
from edgekd.store import canonical_json
from edgekd.sweep.objectives import ordered
from edgekd.sweep.space import distributions
from edgekd.sweep_results import TrialFigures

FEWEST = 8
"""Fewer trials tell nothing."""


def importance(trials: Sequence[TrialFigures], sweep: SweepSettings) -> dict[str, dict[str, float]]:
    """By objective, each field's share of the variance, the largest first.

    A training that was ended counts with the best score that it had come to: left out, only the
    good settings would be compared. Costs are known of what was not trained, too.
    """
    found = {}
    for objective in ordered(sweep):
        known = [
            (trial, value) for trial in trials if (value := _value(trial, objective)) is not None
        ]
        found[objective] = _fanova(known, sweep)
    return found


def _value(trial: TrialFigures, objective: str) -> float | None:
    if objective == ACCURACY:
        return trial.score if trial.state in ("finished", "stopped") else None
    return trial.values.get(objective)


def _fanova(known: Sequence[tuple[TrialFigures, float]], sweep: SweepSettings) -> dict[str, float]:
    if len(known) < FEWEST or len({value for _, value in known}) < 2:
        return {}
    import optuna
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    space = distributions(sweep)
    study = optuna.create_study()
    for trial, value in known:
        setting = {
            field: canonical_json(trial.setting[field])
            if isinstance(sweep.space[field], list)
            else trial.setting[field]
            for field in space
        }
        study.add_trial(optuna.create_trial(params=setting, distributions=space, value=value))
    evaluator = FanovaImportanceEvaluator(seed=0)
    found = get_param_importances(study, evaluator=evaluator, normalize=True)
    return {field: float(share) for field, share in found.items()}
