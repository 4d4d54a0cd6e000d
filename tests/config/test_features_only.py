"""A teacher of other classes: what the settings allow."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgekd.config.pipeline import Pipeline

TEACHER = {"model": "resnet8", "weights": "w.safetensors", "features_only": True}


def pipeline(
    method: Any = "fitnet", teacher: dict[str, Any] | None = None, **more: Any
) -> Pipeline:
    raw = {"name": "p", "teacher": {**TEACHER, **(teacher or {})}, "distill": {"method": method}}
    return Pipeline.model_validate({**raw, **more})


def test_it_is_not_trained_and_survives_a_round_trip():
    made = pipeline(["fitnet", "at"], finetune={"method": "labels"})
    assert made.teacher.train is None
    assert not made.teacher.is_network
    assert Pipeline.model_validate(made.model_dump(mode="json")) == made


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"method": "kd"}, "the method kd looks at no feature maps"),
        ({"method": ["at", "dkd"]}, "the method dkd"),
        ({"method": "labels"}, "the method labels"),
        ({"teacher": {"train": {"epochs": 3}}}, "take `train` away"),
        ({"teacher": {"require": {"accuracy": 0.5}}}, "no answers"),
        ({"teacher": {"weights": None}}, "needs `weights`"),
        ({"teacher": {"onnx": "t.onnx"}}, "network of torch"),
        ({"student": {"copy_of": "teacher"}, "quantize": "qat"}, "other classes"),
        ({"budget": {"accuracy_drop": "1 %"}}, "accuracy_drop"),
    ],
)
def test_what_means_nothing_is_refused(change, says):
    with pytest.raises(ValidationError, match=says):
        pipeline(**change)
