"""The agent as a device sees it: a process with a job file and a result file."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from scipy import stats
from tiny_models import Tiny

from edgekd.agent import agent

SHORT = {"warmup_seconds": 0.01, "min_runs": 60, "min_seconds": 0.02}
FORMS = ["onnx", "tflite"]


def run(folder: Path, job: object) -> tuple[int, dict]:
    """The agent in a process of its own, outside the package and with nothing on its path."""
    text = job if isinstance(job, str) else json.dumps(job)
    (folder / "job.json").write_text(text)
    done = subprocess.run(
        [sys.executable, agent.__file__, "job.json", "result.json"],
        cwd=folder,
        capture_output=True,
        env={k: v for k, v in os.environ.items() if k != "PYTHONPATH"},
        timeout=60,
        check=False,
    )
    assert not list(folder.glob("*.tmp"))
    return done.returncode, json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def tiny():
    return Tiny()


@pytest.mark.parametrize("form", FORMS)
def test_a_job_with_data(tmp_path, tiny, form):
    path = tiny.write(tmp_path, form, "int8")
    x = tiny.samples(70)
    y = tiny.logits(x).argmax(-1)
    y[:20] = (y[:20] + 1) % 4
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    paths = {"inputs": "x.npy", "labels": "y.npy", "samples": "t.npy", "predictions": "p.npy"}
    code, result = run(tmp_path, {"model": str(path), "threads": 2, **SHORT, **paths})
    assert code == 0 and result["ok"]

    answers = agent.load(str(path)).run(x).argmax(-1)
    np.testing.assert_array_equal(np.load(tmp_path / "p.npy"), answers)
    assert (result["correct"], result["n"]) == (int((answers == y).sum()), 70)
    assert 40 < result["correct"] <= 52

    us = np.load(tmp_path / "t.npy") / 1e3
    figures = result["latency_us"]
    assert figures["n"] == len(us) >= 60 and (us > 0).all()
    for name, percent in (("p50", 50), ("p90", 90), ("p99", 99)):
        assert figures[name] == pytest.approx(stats.scoreatpercentile(us, percent))
    assert figures["mean"] == pytest.approx(stats.tmean(us))
    assert figures["std"] == pytest.approx(stats.tstd(us))

    assert result["threads"] == 2 and result["load_ms"] > 0 and result["first_us"] > 0
    assert result["runtime"] == {"onnx": "onnxruntime", "tflite": "litert"}[form]
    assert result["peak_rss_bytes"] > result["rss_growth_bytes"] >= 0
    assert result["peak_rss_bytes"] > 10e6
    assert result["machine"]["numpy"] == np.__version__


def test_accuracy_is_onnxruntimes_own(tmp_path, tiny):
    import onnxruntime

    path = tiny.write(tmp_path, "onnx", "float32")
    x, y = tiny.samples(300), np.random.default_rng(3).integers(0, 4, 300)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "y.npy", y)
    job = {"model": str(path), **SHORT, "inputs": "x.npy", "labels": "y.npy"}
    _code, result = run(tmp_path, job)
    (logits,) = onnxruntime.InferenceSession(path).run(None, {"input": x})
    assert result["correct"] == int((np.asarray(logits).argmax(-1) == y).sum())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("precision", ["float32", "int8"])
def test_foreign_files_without_data(tmp_path, tiny, form, precision):
    path = tiny.write(tmp_path, form, precision, None)
    code, result = run(tmp_path, {"model": str(path), **SHORT})
    assert code == 0 and result["latency_us"]["n"] >= 60
    assert "correct" not in result and "n" not in result


def test_foreign_file_with_several_inputs_and_open_dimensions(tmp_path):
    import onnx
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        helper.make_node("Cast", ["mask"], ["keep"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["rows", "keep"], ["kept"]),
        helper.make_node("Mul", ["kept", "gain"], ["out"]),
    ]
    graph = helper.make_graph(
        nodes,
        "several",
        [
            helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "length"]),
            helper.make_tensor_value_info("mask", TensorProto.BOOL, [1, 1, 3]),
            helper.make_tensor_value_info("gain", TensorProto.FLOAT, [3]),
        ],
        [helper.make_tensor_value_info("out", TensorProto.FLOAT, None)],
        [helper.make_tensor("table", TensorProto.FLOAT, [2, 3], [1, 2, 3, 4, 5, 6])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "several.onnx")
    code, result = run(tmp_path, {"model": "several.onnx", **SHORT})
    assert code == 0
    assert any("ids has open dimensions" in warning for warning in result["warnings"])


@pytest.mark.parametrize(
    ("job", "error"),
    [
        ({"model": "absent.onnx"}, "no such model file"),
        ({"model": "broken.onnx"}, "cannot load this file"),
        ({"model": "broken.tflite"}, "not a TFLite file"),
        ({"model": "float32.onnx", "inputs": "absent.npy"}, "array cannot be read"),
        ({"model": "float32.onnx", "inputs": "wrong.npy"}, "the model takes"),
        ({"model": "float32.onnx", "inputs": "empty.npy"}, "empty"),
        ({"model": "float32.onnx", "inputs": "x.npy", "labels": "wrong.npy"}, "1 labels for 3"),
        ({"model": "float32.onnx", "inputs": "objects.npy"}, "array cannot be read"),
        ("{", "JSONDecodeError"),
        ({"model": "float32.onnx", "threads": "many"}, "ValueError"),
    ],
)
def test_errors_come_back_in_the_result(tmp_path, tiny, job, error):
    tiny.write(tmp_path, "onnx", "float32")
    (tmp_path / "broken.onnx").write_bytes(b"\x08\x07 no protobuf")
    (tmp_path / "broken.tflite").write_bytes(b"no flatbuffer")
    np.save(tmp_path / "x.npy", tiny.samples(3))
    np.save(tmp_path / "wrong.npy", np.zeros((1, 7), np.float32))
    np.save(tmp_path / "empty.npy", np.zeros((0, 2, 2, 3), np.float32))
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)
    code, result = run(tmp_path, {**job, **SHORT} if isinstance(job, dict) else job)
    assert code == 1 and result["ok"] is False
    assert error in result["error"] and result["where"]


def test_facts_alone_and_usage(tmp_path, capsys):
    code, result = run(tmp_path, {})
    assert code == 0 and result["machine"]["cores"] == len(os.sched_getaffinity(0))
    assert agent.main([]) == 2
    assert "usage" in capsys.readouterr().err


def test_the_garbage_collector_comes_back(tmp_path, tiny):
    import gc

    model = agent.load(str(tiny.write(tmp_path, "onnx", "float32")))
    states = []
    invoke = model.invoke
    model.invoke = lambda: states.append(gc.isenabled()) or invoke()
    agent.measure(model, agent.random_inputs(model, []), SHORT)
    assert gc.isenabled() and states[0] and not any(states[1:])


CALM = {"governor": "performance", "load_average": 0.5, "cores": 2}


@pytest.mark.parametrize(
    ("machine", "words"),
    [({"governor": "powersave"}, "powersave"), ({"load_average": 2.5}, "load average was 2.5")],
)
def test_doubts_about_the_machine(machine, words):
    steady = np.full(100, 1000)
    assert agent.doubts(steady, CALM) == []
    assert agent.doubts(steady, {**CALM, "governor": None, "load_average": None}) == []
    (doubt,) = agent.doubts(steady, {**CALM, **machine})
    assert words in doubt


@pytest.mark.parametrize(("late", "told"), [(1090, None), (1120, "+12%"), (880, "-12%")])
def test_doubts_about_drift(late, told):
    found = agent.doubts(np.repeat([1000, late], 50), CALM)
    assert found == [] if told is None else told in found[0]
    assert agent.doubts(np.array([5, 500, 1]), CALM) == []
