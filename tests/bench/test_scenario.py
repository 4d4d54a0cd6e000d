"""Single stream and offline: rules, figures, and that the batch is what is said."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from scipy import stats
from tiny_models import Tiny
from typer.testing import CliRunner

from edgekd.agent import agent
from edgekd.bench.jobs import bench_files
from edgekd.bench.scenario import LEAST_QUERIES, describe, offline, single_stream
from edgekd.bench.visit import More
from edgekd.cli import app
from edgekd.config.stages import BenchSettings
from edgekd.results import Latency

SHORT = BenchSettings(min_runs=5, min_seconds=0.02, threads=(1,), processes=2)


def test_a_single_stream_is_the_90th_percentile_of_enough_queries(tmp_path):
    path = Tiny().write(tmp_path, "onnx", "int8")
    (row,) = bench_files([path], SHORT, more=More(scenario="single-stream")).rows
    found = row.scenario
    assert found is not None and row.latency_us is not None
    assert (found.name, found.unit, found.batch, found.note) == ("single-stream", "us", 1, "")
    assert found.value == row.latency_us.p90 and found.samples == row.latency_us.n >= LEAST_QUERIES


def test_too_few_queries_are_told():
    times = Latency(p50=10, p90=20, p99=30, mean=12, std=1, n=50)
    found = single_stream(times, [{"latency_us": {"p90": 20.0, "mean": 12.0, "n": 50}}])
    assert found.low is None and found.high is None
    assert found.seconds == pytest.approx(50 * 12e-6)
    assert found.note == "50 queries, and the rules ask for 1024"
    assert describe("a.onnx", 1, found) == (
        "a.onnx, 1 threads, single-stream: 90 % within 20.0 µs, 50 samples in 0.0 s "
        "(50 queries, and the rules ask for 1024)"
    )


@pytest.mark.parametrize(("form", "fixed"), [("onnx", False), ("tflite", True)])
def test_offline_in_batches_where_the_file_takes_them(tmp_path, form, fixed):
    path = Tiny().write(tmp_path, form, "float32")
    (row,) = bench_files([path], SHORT, more=More(scenario="offline")).rows
    found = row.scenario
    assert found is not None and found.unit == "samples/s"
    assert found.batch == 1 if fixed else found.batch in agent.BATCHES
    assert ("fixed at 1" in found.note) == fixed
    assert found.samples % found.batch == 0
    assert found.low is not None and found.high is not None
    assert found.low <= found.value <= found.high


def test_what_a_batch_holds_is_what_is_counted(tmp_path, monkeypatch):
    """Every sample takes its turn: with 3 feeds and batches of 2, no run has fewer."""
    model = agent.load(str(Tiny().write(tmp_path, "onnx", "float32")))
    feeds = [[np.full((1, 2, 2, 3), i, np.float32)] for i in range(3)]
    seen: list[list[float]] = []
    place = model.place
    monkeypatch.setattr(
        model, "place", lambda arrays: seen.append(arrays[0][:, 0, 0, 0].tolist()) or place(arrays)
    )
    rate, samples, seconds = agent._throughput(model, feeds, 2, 0.01)
    assert seen == [[0, 1], [2, 0]]
    assert samples % 2 == 0 and rate == pytest.approx(samples / seconds)
    wanted = {"seconds": 0.01, "batch": 4}
    assert agent.offline(model, feeds, wanted)["batch"] == 4


def test_the_interval_is_students_over_processes():
    rates = [900.0, 1000.0, 1200.0]
    told = {"batch": 8, "samples": 80, "seconds": 0.1, "note": ""}
    found = offline([{"offline": {"samples_per_s": rate, **told}} for rate in rates])
    low, high = stats.t.interval(0.95, 2, np.log(rates).mean(), stats.sem(np.log(rates)))
    assert found.value == pytest.approx(stats.gmean(rates))
    assert (found.low, found.high) == pytest.approx((math.exp(low), math.exp(high)))
    assert (found.samples, found.seconds) == (240, pytest.approx(0.3))


def test_the_command(tmp_path):
    path = str(Tiny().write(tmp_path, "onnx", "int8"))
    out = tmp_path / "out.json"
    command = ["bench", path, "--quick", "--threads", "1", "--json", str(out)]
    done = CliRunner().invoke(app, [*command, "--scenario", "offline"])
    assert done.exit_code == 0, done.output
    assert "samples a second" in done.output.replace("\n", " ")
    assert json.loads(out.read_text())["rows"][0]["scenario"]["name"] == "offline"


def test_runs_that_a_browser_times_together_are_all_counted():
    times = Latency(p50=10, p90=20, p99=30, mean=12, std=1, n=700)
    part = {"latency_us": {"p90": 20.0, "mean": 12.0, "n": 350}}
    found = single_stream(times, [{**part, "batch": 4}, {**part, "batch": 2}])
    assert found.samples == 350 * 6 and found.seconds == pytest.approx(350 * 6 * 12e-6)
    assert found.note == "of the means of 4 queries: the clock tells no single ones"


def test_offline_where_an_open_batch_is_not_open_inside(tmp_path):
    """Files of others name an axis "batch" and reshape to a fixed one behind it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    nodes = [
        helper.make_node("Reshape", ["input", "one"], ["flat"]),
        helper.make_node("MatMul", ["flat", "w"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "fixed inside",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 4])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, 2])],
        [
            numpy_helper.from_array(np.array([1, -1], np.int64), "one"),
            numpy_helper.from_array(np.ones((4, 2), np.float32), "w"),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, tmp_path / "theirs.onnx")
    (row,) = bench_files([tmp_path / "theirs.onnx"], SHORT, more=More(scenario="offline")).rows
    assert row.scenario is not None and row.scenario.batch == 1
    assert row.scenario.note == "its batch is open, and 2 samples at once are an error"
