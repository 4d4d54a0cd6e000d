"""What the plan gives a training of the teacher, by its method."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgekd.config.pipeline import Pipeline
from edgekd.plan import Node, make_plan


def plan(method: Any, **more: Any) -> dict[str, Node]:
    pipeline = Pipeline.model_validate({"name": "p", "distill": {"method": method}, **more})
    return {node.stage: node for node in make_plan(pipeline, Path.cwd())}


REFINED = {"prune": True, "quantize": "qat", "finetune": True}


def test_a_sum_asks_for_answers_and_for_the_teacher_itself():
    nodes = plan(["kd", {"name": "at", "layers": "stages"}], **REFINED)
    for stage in ("distill", "finetune", "prune"):
        assert {"softlabels", "teacher"} <= set(nodes[stage].inputs)
        assert list(nodes[stage].outside["methods"]) == ["edgekd.distill.at"]
    assert "teacher" not in nodes["quantize"].inputs


def test_methods_on_feature_maps_alone_need_no_soft_labels():
    nodes = plan("at", **REFINED)
    assert "softlabels" not in nodes
    assert "teacher" in nodes["prune"].inputs


def test_methods_on_logits_do_not_need_the_teacher_again():
    nodes = plan("kd", **REFINED)
    assert "teacher" not in nodes["prune"].inputs
    assert "methods" not in nodes["distill"].outside


def test_an_onnx_teacher_has_no_feature_maps():
    for source in ({"teacher": {"onnx": "t.onnx"}}, {"teachers": ["resnet8", "resnet20"]}):
        with pytest.raises(ValidationError, match="one network of torch"):
            plan("at", **source)


def test_mixed_samples_are_refused_by_any_part_that_tells_the_target_apart():
    with pytest.raises(ValidationError, match=r"distill\.method dkd"):
        plan(["at", "dkd"], data={"source": "digits", "augment": {"mixup": 0.2}})


def test_quantization_may_have_a_method_of_its_own():
    plain = plan("kd", quantize="qat")["quantize"]
    same = plan("kd", quantize={"method": "kd"})["quantize"]
    assert same.key == plain.key
    labels = plan("kd", quantize={"method": "labels"})["quantize"]
    assert labels.settings.method.name == "labels"  # type: ignore[attr-defined]
    assert "softlabels" not in labels.inputs
    asks = plan("labels", quantize={"method": "kd"})
    assert "softlabels" in asks["quantize"].inputs and "softlabels" not in asks["distill"].inputs


@pytest.mark.parametrize(
    ("method", "says"),
    [("at", "named layers"), ({"name": "kd", "temperature": "auto"}, r"quantize\.method: auto")],
)
def test_quantization_takes_no_method_on_maps_and_searches_none(method: Any, says: str):
    with pytest.raises(ValidationError, match=says):
        plan("kd", quantize={"method": method})
