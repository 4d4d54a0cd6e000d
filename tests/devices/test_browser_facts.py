"""What a page tells is not trusted: numbers that no browser has become none, and never a crash."""

from __future__ import annotations

import json

import numpy as np
import pytest
from tiny_models import Tiny

from edgekd.agent import agent
from edgekd.devices.browser_facts import machine_of
from edgekd.devices.browser_job import make_work, prepare, read_work
from edgekd.devices.browser_link import Work
from edgekd.errors import StageError

WARMUP = {"runs": 3, "seconds": 0.1, "mean_us": 7.0, "steady": True}
TOLD = {
    **{"load_ms": 1.5, "first_us": 9.0, "warmup": WARMUP, "batch": 2, "timer_us": 5.0},
    **{"memory": 2**24, "memory_load": 0, "memory_growth": 0},
}
VERSIONS = {"ort": "1", "litert": "2"}


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1" + 400 * "0", "-5", "true"])
def test_facts_lie_within_bounds(number):
    names = ("hardware_concurrency", "memory_gb", "timer_us")
    text = ", ".join(f'"{name}": {number}' for name in names)
    machine = machine_of(json.loads(f'{{"threads": true, {text}}}'), {})
    assert 1 <= machine["cores"] <= 256 and 0 <= machine["memory_bytes"] <= 2**42
    assert 0 <= machine["browser"]["timer_us"] <= 1e6


def answered(folder, **changed: object) -> dict:
    """What is read of an answer that came as JSON."""
    Tiny().write(folder, "onnx", "float32")
    prepared = prepare(agent.load(str(folder / "float32.onnx")), {})
    work: Work = make_work(1, prepared, {"threads": 1}, "files/x", "float32.onnx, 1 thread")
    work.result = json.loads(json.dumps({**TOLD, **changed}))
    work.times = np.array([6.0, 7.0, 8.0]).astype("<f8").tobytes()
    return read_work(work, prepared, VERSIONS)[0]


def test_an_answer_is_read(tmp_path):
    found = answered(tmp_path)
    assert found["latency_us"]["p50"] == 7 and found["ends_us"] == [6, 8]
    assert (found["load_ms"], found["first_us"], found["runtime_version"]) == (1.5, 9, "1")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "x"])
@pytest.mark.parametrize("name", ["load_ms", "first_us", "batch", "memory", "timer_us", "warmup"])
def test_an_answer_without_figures_is_refused(tmp_path, name, value):
    changed = {**WARMUP, "mean_us": value} if name == "warmup" else value
    with pytest.raises(StageError, match="not whole") as caught:
        answered(tmp_path, **{name: changed})
    assert "float32.onnx, 1 thread" in caught.value.where
