"""What limits a student, concluded from what a run measured, and the one setting to try next: all
rules that hold, the one with the most at stake first.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

from edgekd.advice.evidence import Evidence, evidence
from edgekd.advice.rules import RULES, Rule
from edgekd.results import AdviceFigures, Estimate, Summary
from edgekd.tasks.names import title
from edgekd.train.history import FILE, History


def conclude(evidence: Evidence) -> list[AdviceFigures]:
    """What the rules say, the most at stake first; that nothing stands out, where none holds."""
    known = {f.name for f in fields(evidence) if getattr(evidence, f.name) is not None}
    found = [rule for rule in RULES if known.issuperset(rule.needs) and rule.holds(evidence)]
    advice = [_figures(rule, evidence) for rule in found]
    if not advice and evidence.student is not None:
        return [_nothing(evidence)]
    return sorted(advice, key=lambda row: -row.stake)


def _figures(rule: Rule, e: Evidence) -> AdviceFigures:
    text, setting = rule.advice(e)
    numbers: dict[str, float] = {}
    for name in rule.needs:
        value = getattr(e, name)
        numbers[name] = value.value if isinstance(value, Estimate) else value
    return AdviceFigures(
        limit=rule.limit,
        finding=rule.finding(e),
        evidence=numbers,
        stake=max(0.0, float(rule.stake(e))),
        advice=text,
        setting=setting,
    )


def _nothing(e: Evidence) -> AdviceFigures:
    assert e.student is not None
    numbers = {"student": e.student} | ({} if e.teacher is None else {"teacher": e.teacher})
    against = "" if e.teacher is None else f", the teacher {e.score(e.teacher)}"
    return AdviceFigures(
        limit="none",
        finding=f"Nothing stands out: the student reaches {e.score(e.student)} {title(e.metric)}"
        f"{against}.",
        evidence=numbers,
        stake=0.0,
        advice="Several seeds and a control arm show smaller effects.",
        setting="control=true" if e.setting("control") is False else None,
    )


def advise(summary: Summary, folder: Path) -> list[AdviceFigures]:
    """What limits the student of a run's first seed.

    Args:
        folder: the run folder, where the histories of the trainings lie.
    """
    stage = summary.stage("distill")
    file = folder / stage.folder if stage is not None else None
    known = file is not None and (file / FILE).is_file()
    epochs = History.load(file).epochs if known and file is not None else ()
    return conclude(evidence(summary, epochs))
