"""The agent as a device sees it: a process with a job file and a result file."""

from __future__ import annotations

import array
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
    np.testing.assert_allclose(
        result["quantiles_us"], np.quantile(us, np.linspace(0, 1, 1001)), atol=1e-3
    )
    assert result["ends_us"] == [us[0], us[-1]]
    assert result["warmup"]["runs"] >= 1
    assert result["energy_uj"] is None or result["energy_uj"] > 0

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
    assert agent.doubts(CALM) == []
    assert agent.doubts({**CALM, "governor": None, "load_average": None}) == []
    (doubt,) = agent.doubts({**CALM, **machine})
    assert words in doubt


def quiet(times: np.ndarray, **changes: object) -> dict:
    state = {"throttles": 3, "firmware_throttled": None, "clock_mhz": 2000.0}
    before, after = dict(state), dict(state)
    waited = changes.pop("waited", 0.0)
    after.update(changes)
    return {"times": times, "waited": waited, "before": before, "after": after}


STEADY = np.full(100, 1000)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, None),
        ({"waited": None, "throttles": None, "clock_mhz": None}, None),
        ({"waited": 0.25}, "took the cores for 25% of the time"),
        ({"throttles": 5}, "throttled 2 times"),
        ({"clock_mhz": 1500.0}, "from 2000 to 1500 MHz"),
        ({"clock_mhz": 1950.0}, None),
        ({"firmware_throttled": 0x50004}, "get_throttled is 0x50004"),
        ({"firmware_throttled": 0x50000}, None),
    ],
)
def test_disturbances(changes, words):
    found = agent.disturbances(quiet(STEADY, **changes))
    assert found == [] if words is None else len(found) == 1 and words in found[0]


@pytest.mark.parametrize(("late", "told"), [(1090, None), (1120, "+12%"), (880, "-12%")])
def test_drift_disturbs(late, told):
    found = agent.disturbances(quiet(np.repeat([1000, late], 50)))
    assert found == [] if told is None else told in found[0]
    assert agent.disturbances(quiet(np.array([5, 500, 1]))) == []


class Steps(agent.ModelFile):
    """A model whose runs take the times that it is told, on a clock of its own."""

    def __init__(self, monkeypatch, milliseconds):
        self.now, self.runs = 0, 0
        self.milliseconds = milliseconds
        monkeypatch.setattr(agent.time, "perf_counter_ns", lambda: self.now)

    def place(self, arrays):
        return arrays

    def use(self, placed):
        pass

    def invoke(self):
        self.now += int(1e6 * self.milliseconds(self.runs))
        self.runs += 1


def test_warm_up_ends_when_the_times_are_steady(monkeypatch):
    falling = Steps(monkeypatch, lambda run: 4 if run < 10 else 2)
    found = agent._warm_up(falling, [None], {"warmup_seconds": 10})
    assert found["steady"] and found["runs"] == falling.runs == 25
    assert found["seconds"] == pytest.approx(10 * 0.004 + 15 * 0.002)
    assert found["mean_us"] == pytest.approx(2800)


def test_warm_up_has_a_bound_and_a_least_number_of_runs(monkeypatch):
    restless = Steps(monkeypatch, lambda run: 2 + run % 7)
    found = agent._warm_up(restless, [None], {"warmup_seconds": 0.5})
    assert not found["steady"] and 0.5 <= found["seconds"] < 0.51
    found = agent._warm_up(restless, [None], {"warmup_seconds": 0.001, "warmup_runs": 40})
    assert found["runs"] == 40
    slow = Steps(monkeypatch, lambda run: 2000)
    assert agent._warm_up(slow, [None], {"warmup_seconds": 0.6})["runs"] == 1


def stream(monkeypatch, milliseconds, **wanted):
    model = Steps(monkeypatch, milliseconds)

    def sleep(seconds):
        model.now += int(1e9 * seconds)

    def clock():
        model.now += 1000  # waiting for a frame takes time, too
        return model.now

    monkeypatch.setattr(agent.time, "sleep", sleep)
    monkeypatch.setattr(agent.time, "perf_counter_ns", clock)
    return agent.stream(model, [None], {"fps": 100, "seconds": 1, **wanted})


def test_frames_in_time(monkeypatch):
    found = stream(monkeypatch, lambda frame: 4)
    assert (found["frames"], found["missed"], found["late"]) == (100, 0, 0.0)
    assert found["deadline_ms"] == 10 and found["seconds"] == pytest.approx(0.994, abs=0.01)
    assert found["latency_us"]["p50"] == pytest.approx(4000, rel=0.01)
    assert found["busy"] == pytest.approx(0.4, abs=0.01)


def test_frames_after_the_deadline(monkeypatch):
    found = stream(monkeypatch, lambda frame: 8 if frame % 4 == 0 else 4, deadline_ms=6.0)
    assert (found["missed"], found["late"]) == (25, 0.25)


def test_a_slow_frame_delays_those_that_wait(monkeypatch):
    """One takes 25 ms: the two that came meanwhile are late as well, and then all is well."""
    found = stream(monkeypatch, lambda frame: 25 if frame == 10 else 4)
    assert found["missed"] == 3
    assert found["latency_us"]["max"] == pytest.approx(25_000, rel=0.01)


def test_a_model_too_slow_falls_behind_for_good(monkeypatch):
    found = stream(monkeypatch, lambda frame: 20)
    assert found["missed"] == 100 and found["busy"] == pytest.approx(1, abs=0.01)
    assert found["latency_us"]["max"] == pytest.approx(100 * 20_000 - 99 * 10_000, rel=0.01)


def test_how_long_is_measured(monkeypatch):
    model = Steps(monkeypatch, lambda run: 10)
    for job, runs in (
        ((50, 0.1), 50),
        ((5, 0.1), 10),
        ((50, 0.1, 0.2), 20),
        ((50, 0.1, 0.001), 1),
        ((3, 0.0), 3),
    ):
        times = array.array("q")
        agent._runs(model, [None], times, *job)
        assert list(times) == [10_000_000] * runs


def test_the_distribution_is_scipys_and_counts_outliers():
    times = np.random.default_rng(0).integers(90_000, 110_000, 1000)
    times[:7] = 200_000
    times[7] = 1_000
    found, us = agent.distribution(times), times / 1e3
    assert found["p95"] == pytest.approx(stats.scoreatpercentile(us, 95))
    assert found["mad"] == pytest.approx(stats.median_abs_deviation(us))
    assert (found["min"], found["max"], found["n"]) == (1.0, 200.0, 1000)
    assert found["outliers"] == 8
    assert found["mean"] == pytest.approx(us.mean()), "they are part of the figures"
    assert agent.distribution(np.full(10, 7000))["outliers"] == 0


def test_energy_counters_start_again():
    zone = "intel-rapl:0"
    assert agent.energy_between({zone: (100, 1000)}, {zone: (400, 1000)}) == 300
    assert agent.energy_between({zone: (900, 1000)}, {zone: (100, 1000)}) == 200
    assert agent.energy_between(None, {zone: (1, 2)}) is None
    assert agent.energy_between({zone: (1, 2)}, None) is None


def test_energy_of_packages_only(monkeypatch, tmp_path):
    for zone, name in (("intel-rapl:0", "package-0"), ("intel-rapl:0:0", "core")):
        (tmp_path / zone).mkdir()
        for file, text in (("name", name), ("energy_uj", "7"), ("max_energy_range_uj", "99")):
            (tmp_path / zone / file).write_text(text)
    zones = sorted(map(str, tmp_path.iterdir()))
    monkeypatch.setattr(agent.glob, "glob", lambda pattern: zones)
    assert agent.energy_uj() == {zones[0]: (7, 99)}
    monkeypatch.setattr(agent.glob, "glob", lambda pattern: [])
    assert agent.energy_uj() is None


def test_the_state_of_this_machine():
    state = agent.machine_state()
    assert state["cores"] == sorted(os.sched_getaffinity(0))
    assert state["pinned"] == (len(state["cores"]) < os.cpu_count())
    assert state["load_average"] == pytest.approx(os.getloadavg()[0], abs=2)


def test_the_state_of_a_raspberry_pi(monkeypatch):
    cores = sorted(os.sched_getaffinity(0))
    files = {agent.RASPBERRY: "50005", "/t0/temp": "61250", "/t1/temp": "48000"}
    for core in cores:
        files[f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_cur_freq"] = "600000"
        files[f"/sys/devices/system/cpu/cpu{core}/cpufreq/scaling_governor"] = "ondemand"
    monkeypatch.setattr(agent, "_text", files.get)
    paths = {"/sys/class/thermal/thermal_zone*/temp": ["/t0/temp", "/t1/temp"]}
    monkeypatch.setattr(agent.glob, "glob", lambda pattern: paths.get(pattern, []))
    state = agent.machine_state()
    assert state["clock_mhz"] == 600 and state["governor"] == "ondemand"
    assert state["temperature_c"] == 61.25
    assert state["firmware_throttled"] == 0x50005
    assert state["throttles"] is None and state["battery_percent"] is None


def test_onnx_runtimes_profile(tmp_path, tiny):
    path = tiny.write(tmp_path, "onnx", "int8")
    _code, result = run(tmp_path, {"model": str(path), "profile": True, **SHORT})
    operators = result["profile"]
    assert [o["op"] for o in operators][-1] == "QuantizeLinear"
    assert {"DequantizeLinear", "Gemm"} <= {o["op"] for o in operators}
    assert all(o["calls"] == agent.PROFILE_RUNS and o["us"] >= 0 for o in operators)
    assert result["profile_note"] == "" and "latency_us" not in result


def test_the_slowest_tenth_of_an_operators_calls_is_left_out():
    assert agent.usual([*[2.0] * 8, 4.0, 1000.0]) == pytest.approx(20 / 9)
    assert agent.usual([10.0, 20.0]) == 15 and agent.usual([3.0]) == 3


def test_operators_of_a_profile():
    def event(name, us, cat="Node", op="Conv"):
        return {"cat": cat, "name": name, "dur": us, "args": {"op_name": op}}

    events = [
        {"cat": "Session", "name": "model_loading", "dur": 99},
        event("b_kernel_time", 100),
        event("b_fence_before", 7),
        event("a_kernel_time", 3, op="Relu"),
        event("b_kernel_time", 10),
        event("a_kernel_time", 1, op="Relu"),
        event("b_kernel_time", 20),
    ]
    assert agent.onnx_operators(events, 1) == [
        {"name": "b", "op": "Conv", "us": 15.0, "calls": 3},
        {"name": "a", "op": "Relu", "us": 1.0, "calls": 2},
    ]
