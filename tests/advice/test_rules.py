"""Each rule from numbers made up for it, and that it is silent otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from edgekd.advice.advise import conclude
from edgekd.advice.evidence import Evidence, late_fall
from edgekd.advice.rules import RULES
from edgekd.config.load import apply_override
from edgekd.config.pipeline import Pipeline, expand
from edgekd.results import AdviceFigures, Estimate

SETTINGS = Pipeline.model_validate(
    {"name": "p", "student": {"model": {"name": "resnet8", "width": 0.5}}, "prune": True,
     "distill": "kd", "quantize": "qat",
     "data": {"source": "digits", "augment": {"shift": 1, "views": 4}}}
).model_dump(mode="json")  # fmt: skip
FINE = Evidence(
    metric="accuracy", teacher=0.95, student=0.94, low=0.93, high=0.945, train=0.96,
    teacher_train=0.965, validation=0.945, validation_noise=0.01, missed=0.05, late_fall=0.2,
    epochs=60, temperature=4.0, entropy=0.5, gain=0.02, gain_low=0.01, gain_high=0.03,
    control_train=0.94, settings=SETTINGS,
)  # fmt: skip
"""A student about which there is nothing to say."""


def told(**changes: Any) -> list[AdviceFigures]:
    return conclude(replace(FINE, **changes))


def estimate(value: float, half: float = 0.005) -> Estimate:
    return Estimate(value=value, low=value - half, high=value + half)


def test_nothing_stands_out():
    (row,) = told()
    assert row.limit == "none"
    assert "94.0" in row.finding
    assert row.setting == "control=true"


@pytest.mark.parametrize(
    ("limit", "changes", "setting"),
    [
        ("quantizer", {"quantized": estimate(-0.03)}, "quantize.train.epochs=20"),
        ("pruning", {"pruned": estimate(-0.02)}, "prune.keep=0.75"),
        ("epochs", {"late_fall": 0.6, "train": 0.93}, "distill.train.epochs=80"),
        ("capacity", {"train": 0.93, "validation": 0.92}, "student.model.width=0.75"),
        ("capacity gap", {"missed": 0.3, "control_train": None}, "distill.method={name: dist}"),
        ("data", {"train": 0.96, "validation": 0.90}, "data.augment.views=8"),
        (
            "control", {"gain": -0.02, "gain_low": -0.03, "gain_high": -0.01},
            "distill.method={name: kd, ce_weight: 1}",
        ),
        ("control", {"gain": 0.01, "gain_low": -0.01, "gain_high": 0.03}, "seeds=3"),
        ("temperature", {"entropy": 0.03}, "distill.method={name: kd, temperature: 8}"),
        ("temperature", {"entropy": 0.99}, "distill.method={name: kd, temperature: 2}"),
        ("teacher", {"high": 0.955}, None),
    ],
)  # fmt: skip
def test_each_rule(limit, changes, setting):
    (row,) = told(**changes)
    assert (row.limit, row.setting) == (limit, setting)
    assert row.evidence
    assert row.finding.endswith(".")
    if setting is not None:  # it can be pasted
        raw = {"name": "p", "student": {"model": {"name": "resnet8"}}, "prune": True}
        raw = {**raw, "quantize": "qat", "data": {"source": "digits", "augment": {"shift": 1}}}
        raw = expand(raw)
        apply_override(raw, setting)
        Pipeline.model_validate(raw)


def test_every_rule_is_tried_above():
    assert {rule.limit for rule in RULES} == {
        "quantizer", "pruning", "epochs", "capacity", "capacity gap", "data", "control",
        "temperature", "teacher",
    }  # fmt: skip


def test_a_rule_without_its_numbers_is_silent():
    poor = replace(
        FINE, quantized=estimate(-0.03), pruned=estimate(-0.02), train=0.93, validation=0.88,
        missed=0.3, control_train=None, entropy=0.03, high=0.96, gain=-0.02, gain_high=-0.01,
    )  # fmt: skip
    limits = [row.limit for row in conclude(poor)]
    assert len(set(limits)) == len(limits) == 8
    for rule in RULES:
        for name in rule.needs if rule.limit in limits else ():
            assert rule.limit not in {row.limit for row in conclude(replace(poor, **{name: None}))}


def test_a_loss_within_noise_is_no_price():
    assert told(quantized=estimate(-0.004))[0].limit == "none"


def test_what_has_most_at_stake_comes_first():
    rows = told(quantized=estimate(-0.01), pruned=estimate(-0.05), train=0.93, validation=0.925)
    assert [row.limit for row in rows] == ["pruning", "capacity", "quantizer"]
    assert [row.stake for row in rows] == sorted((row.stake for row in rows), reverse=True)


def test_the_gap_needs_a_student_that_can_do_better_alone():
    """A control arm that learns its samples less well: the student is short of room as it is."""
    assert told(missed=0.3, control_train=0.90)[0].limit == "none"
    (row,) = told(missed=0.3, control_train=0.97)
    assert row.limit == "capacity gap"
    assert "on labels alone it reaches 97.0" in row.finding


def test_a_student_that_still_learns_has_no_gap_yet():
    rows = told(missed=0.3, control_train=None, late_fall=0.6, train=0.9)
    assert [row.limit for row in rows] == ["epochs"]


@pytest.mark.parametrize(
    ("gap", "student", "assistant", "setting"),
    [
        (12.0, "resnet8", [], "distill.assistant=auto"),
        (9.0, "resnet8", [], "teacher.train.epochs=20"),  # `auto` would put none there
        (None, "resnet8", [], "teacher.train.epochs=20"),
        (12.0, "timm:net", [], "teacher.train.epochs=20"),
        (12.0, "resnet8", [{"name": "resnet8"}], "teacher.train.epochs=20"),
    ],
)
def test_an_assistant_is_advised_where_auto_would_find_one(gap, student, assistant, setting):
    distill = SETTINGS["distill"] | {"method": {"name": "dist"}, "assistant": assistant}
    settings = SETTINGS | {"distill": distill, "student": {"model": {"name": student}}}
    (row,) = told(missed=0.3, control_train=None, gap=gap, settings=settings)
    assert (row.limit, row.setting) == ("capacity gap", setting)
    assert ("assistant" in row.advice) == ("assistant" in setting)


def test_ptq_is_told_of_qat():
    settings = {**SETTINGS, "quantize": {"mode": "ptq"}}
    (row,) = told(quantized=estimate(-0.03), settings=settings)
    assert row.setting == "quantize.mode=qat"


def test_a_method_without_these_fields_gets_no_setting():
    settings = {**SETTINGS, "distill": {"method": [{"name": "kd"}], "train": {"epochs": 10}}}
    (row,) = told(entropy=0.03, settings=settings)
    assert row.setting is None


def test_the_late_fall_of_a_curve():
    assert late_fall([8.0, 4.0, 2.0, 1.0]) == pytest.approx(1 - 1 / 4)
    assert late_fall([3.0] * 40) == pytest.approx(0)
    steady = [2.0 ** (-epoch / 10) for epoch in range(60)]
    assert late_fall(steady) == pytest.approx(1 - 2 ** (-(50 - 24) / 10), abs=0.01)
    assert late_fall([1.0, 0.5, 0.2]) is None


def test_labels_that_count_in_full_already_are_given_no_more():
    settings = {**SETTINGS, "distill": {**SETTINGS["distill"]}}
    settings["distill"]["method"] = {"name": "dkd", "ce_weight": 1.0, "weight": 1.0}
    worse = {"gain": -0.02, "gain_low": -0.03, "gain_high": -0.01}
    (row,) = told(settings=settings, **worse)
    assert row.limit == "control"
    assert row.setting is not None and "weight: 0.5" in row.setting


def test_a_limit_of_pruning_has_no_share_to_raise():
    limited = {**SETTINGS, "prune": {**SETTINGS["prune"], "target": "bytes", "limit": 40_000.0}}
    (row,) = told(pruned=estimate(-0.02), settings=limited)
    assert row.limit == "pruning" and row.setting is None
