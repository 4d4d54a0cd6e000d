"""LiteRT's own profiler, reached through its library's C API."""

from __future__ import annotations

import ast
import json
import sys
from pathlib import Path

import pytest
from tiny_models import Tiny

from edgekd.agent import agent, litert_profile

SHORT = {"min_runs": 1, "min_seconds": 0.0, "warmup_seconds": 0.0}


def profiled(folder: Path, path: Path, **more: object) -> dict:
    job, result = folder / "job.json", folder / "result.json"
    profiler = {"profiler": litert_profile.__file__}
    job.write_text(json.dumps({"model": str(path), "profile": True, **SHORT, **profiler, **more}))
    assert agent.main([str(job), str(result)]) == 0
    return json.loads(result.read_text())


@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_the_operators_inside_xnnpack(tmp_path, precision):
    path = Tiny().write(tmp_path, "tflite", precision)
    found = profiled(tmp_path, path)
    assert found["profile_note"] == ""
    assert any("Fully Connected" in operator["op"] for operator in found["profile"])
    assert not any("Delegate" in operator["op"] for operator in found["profile"])
    assert {operator["calls"] for operator in found["profile"]} == {agent.PROFILE_RUNS}
    assert all(operator["us"] >= 0 for operator in found["profile"])
    assert "latency_us" not in found  # nothing else is measured in this process


def test_without_the_library_a_note_says_so(tmp_path, monkeypatch):
    path = Tiny().write(tmp_path, "tflite", "int8")
    monkeypatch.setattr(agent.importlib.util, "find_spec", lambda name: None)
    found = profiled(tmp_path, path)
    assert found["profile"] == [] and "comes without libLiteRt.so" in found["profile_note"]
    assert profiled(tmp_path, path, profiler=None)["profile"] == []


def test_operators_of_events():
    own, inside, whole = litert_profile.OPERATOR, litert_profile.DELEGATED, 1
    events = [
        (whole, "Invoke", 0, 99),
        (own, "RESHAPE", 0, 4),
        (inside, "Convolution (NHWC) IGEMM", 1, 50),
        (inside, "Convolution", 2, 7),
        (own, "RESHAPE", 0, 2),
        (inside, "Convolution (NHWC) IGEMM", 1, 30),
        (inside, "Convolution", 2, 9),
    ]
    assert litert_profile.operators(events, 1, agent.usual) == [
        {"name": "RESHAPE 0", "op": "RESHAPE", "us": 2.0, "calls": 2},
        {"name": "Convolution 1", "op": "Convolution (NHWC) IGEMM", "us": 30.0, "calls": 2},
        {"name": "Convolution 2", "op": "Convolution", "us": 9.0, "calls": 2},
    ]


def test_it_needs_the_standard_library_and_numpy_only():
    tree = ast.parse(Path(litert_profile.__file__).read_text("utf-8"), feature_version=(3, 9))
    names = {alias.name for n in ast.walk(tree) if isinstance(n, ast.Import) for alias in n.names}
    names |= {str(n.module) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
    assert {name.split(".")[0] for name in names} - set(sys.stdlib_module_names) == {"numpy"}
