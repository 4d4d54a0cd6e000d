"""What is known of a run whose pipeline names no method."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "report"))
from report_example import accuracy, example_summary, history

from edgekd.advice.evidence import Evidence, evidence
from edgekd.results import RetentionFigures


def known(method: Any, parts: dict[str, float]) -> Evidence:
    summary = example_summary()
    row = RetentionFigures(
        stage="distill", seed=summary.seed, precision="float32", score=accuracy(350, 360, "torch")
    )
    distill = summary.settings["distill"] | {"method": method}
    settings = summary.settings | {"distill": distill}
    epochs = [replace(record, parts=parts) for record in history(4, 0.2, 0.9, 2.0)]
    return evidence(summary.model_copy(update={"retention": [row], "settings": settings}), epochs)


@pytest.mark.parametrize("name", ["dist", "kd"])
def test_the_default_is_what_was_trained_by(name):
    found = known({"name": "default"}, {"ce": 1.0, name: 2.0})
    assert found.setting("distill.method.name") == name
    assert found.method(temperature=2) == f"distill.method={{name: {name}, temperature: 2}}"


def test_what_is_named_stays():
    assert known({"name": "labels"}, {"ce": 1.0}).setting("distill.method.name") == "labels"
