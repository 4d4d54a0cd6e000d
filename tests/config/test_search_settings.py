"""`student.search` and its objective, as they are written."""

from __future__ import annotations

import pytest

from edgekd.config.load import validate
from edgekd.config.pipeline import Pipeline
from edgekd.errors import ConfigError


def pipeline(student: object, **more: object) -> Pipeline:
    raw = {"name": "a", "data": "digits", "student": student, "quantize": "ptq", **more}
    return validate(Pipeline, raw)


def test_an_objective_in_short():
    search = {"models": ["dscnn", "resnet8"], "widths": [0.5]}
    made = pipeline({"search": search, "objective": {"latency": "2 ms", "size": "40 kB"}})
    objective = made.student.objective
    assert objective is not None and objective.size == 40_000
    (limit,) = objective.latency
    assert (limit.device, limit.threads, limit.p50) == ("local", 1, 2000.0)
    written = validate(Pipeline, made.model_dump(mode="json"))
    assert written == made


def test_an_objective_on_devices():
    latency = ["2 ms on pi4", {"p90": "9 ms", "threads": "all"}]
    student = {"search": {"models": ["dscnn"]}, "objective": {"latency": latency}}
    made = pipeline(student, bench={"devices": ["local", "pi4"]})
    assert made.student.objective is not None
    first, second = made.student.objective.budget.latency
    assert (first.device, first.p50, second.p90, second.threads) == ("pi4", 2000.0, 9000.0, "all")


@pytest.mark.parametrize(
    ("student", "more", "why"),
    [
        ({"search": {"models": []}}, {}, "at least 1 item"),
        ({"search": {"models": ["dscn"]}}, {}, "did you mean dscnn?"),
        ({"search": {"models": ["dscnn"]}, "model": "mlp"}, {}, "either `model` or `search`"),
        ({"search": {"models": ["dscnn"]}, "copy_of": "teacher"}, {}, "or `search`"),
        ({"objective": {"size": "4 kB"}}, {}, "belongs to `search`"),
        ({"search": {"models": ["dscnn"]}}, {"quantize": None}, "add `quantize"),
        ({"search": {"models": ["dscnn"]}}, {"export": {"formats": ["onnx"]}}, "TFLite files"),
        ({"search": {"models": ["dscnn"]}}, {"prune": True}, "leave `prune` out"),
        (
            {"search": {"models": ["dscnn"]}, "objective": {"latency": "2 ms on pi4"}},
            {},
            "not measured of trained files",
        ),
        ({"search": {"models": ["dscnn"]}, "objective": {"latency": "2"}}, {}, "latency"),
    ],
)
def test_what_does_not_go_together_is_told(student, more, why):
    with pytest.raises(ConfigError) as caught:
        pipeline(student, **more)
    assert why in str(caught.value)
