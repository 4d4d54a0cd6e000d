"""The control arm: the same student by the same steps, and nothing of the teacher in it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from edgekd.config.pipeline import Pipeline
from edgekd.plan import Node, make_plan
from edgekd.results import GainFigures
from edgekd.summary import gain_over_seeds

WHOLE = {
    "name": "c",
    "control": True,
    "distill": "kd",
    "finetune": {"method": "kd"},
    "prune": True,
    "quantize": "qat",
}


def plan(**more: object) -> dict[str, Node]:
    nodes = make_plan(Pipeline.model_validate({**WHOLE, **more}), Path())
    return {node.name: node for node in nodes}


def ancestors(node: Node) -> set[str]:
    return {node.stage}.union(*(ancestors(used) for used in node.inputs.values()))


def test_every_training_of_the_student_is_done_twice():
    nodes = plan()
    for stage in ("distill", "finetune", "prune", "quantize"):
        ours, control = nodes[stage], nodes[f"control-{stage}"]
        assert control.settings.model_dump(exclude={"method"}) == ours.settings.model_dump(
            exclude={"method"}
        )
        assert control.settings.model_dump()["method"] == {"name": "labels"}
        assert ours.settings.model_dump()["method"]["name"] == "kd"
        assert (control.seed, control.module) == (ours.seed, ours.module)
        assert not ancestors(control) & {"teacher", "softlabels"}
        assert control.inputs["data"] is ours.inputs["data"]
    assert set(nodes["compare"].inputs) >= {"quantize", "control-quantize", "teacher"}
    assert ancestors(nodes["export"]) & {"control-distill", "control-quantize"} == set()


def test_another_teacher_trains_no_control_again():
    one, other = plan(), plan(teacher="resnet8")
    assert one["control-quantize"].key == other["control-quantize"].key
    assert one["quantize"].key != other["quantize"].key


def test_without_control_nothing_is_done_twice():
    names = plan(control=False)
    assert not any(name.startswith("control-") for name in names)
    assert plan()["quantize"].key == names["quantize"].key


def test_each_seed_has_its_control():
    nodes = plan(seeds=2)
    assert {"control-distill@0", "control-distill@1"} <= set(nodes)
    assert nodes["compare@1"].inputs["control-distill"] is nodes["control-distill@1"]


def test_a_copy_starts_from_the_teacher_in_both_arms():
    nodes = plan(student={"copy_of": "teacher"}, finetune=None)
    assert nodes["control-prune"].inputs["student"] is nodes["teacher"]
    assert "control-distill" not in nodes


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"distill": "labels"}, "the control itself"),
        (
            {"student": {"copy_of": "teacher"}, "prune": None, "quantize": "ptq", "finetune": None},
            "nothing of this student is trained",
        ),
    ],
)
def test_a_control_that_would_not_differ_is_refused(more, message):
    with pytest.raises(ValidationError, match=message):
        Pipeline.model_validate({**WHOLE, **more})


def gain(seed: int, student: float, control: float, stage: str = "distill") -> GainFigures:
    change = student - control
    return GainFigures(
        stage=stage, seed=seed, precision="float32", metric="accuracy", student=student,
        control=control, gain=change, low=change - 0.1, high=change + 0.1, n=100, over="samples",
    )  # fmt: skip


def test_over_seeds_the_gain_is_paired():
    """Seeds differ by ten points, students of one seed always by about two."""
    rows = [gain(0, 0.80, 0.78), gain(1, 0.90, 0.879), gain(2, 0.70, 0.681)]
    (found,) = gain_over_seeds(rows)
    assert (found.seed, found.n, found.over) == (None, 3, "seeds")
    assert found.gain == pytest.approx(0.02)
    assert found.low == pytest.approx(0.02 - 4.302653 * 0.001 / 3**0.5)
    assert found.verdict == "gain"
    assert found.student == pytest.approx(0.8)


def test_one_seed_has_no_mean_over_seeds():
    assert gain_over_seeds([gain(0, 0.8, 0.7), gain(0, 0.8, 0.7, "prune")]) == []


@pytest.mark.parametrize(
    ("low", "high", "verdict"),
    [(0.001, 0.1, "gain"), (-0.1, 0.2, "none"), (0.0, 0.1, "none"), (-0.3, -0.1, "loss")],
)
def test_verdicts(low, high, verdict):
    row = gain(0, 0.8, 0.7).model_copy(update={"low": low, "high": high})
    assert row.verdict == verdict
