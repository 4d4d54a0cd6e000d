"""Results against each other: what is compared with what, the exit code, and the file itself."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from tiny_models import Tiny
from typer.testing import CliRunner

from edgekd.bench.benchmark_model import summary_lines
from edgekd.bench.compare import between, describe, notes, read_share, regressions, within
from edgekd.bench.gather import gather, latency
from edgekd.bench.result import BenchResult, BenchRow, read_result
from edgekd.cli import app
from edgekd.errors import ConfigError, DataError
from edgekd.schema import schema_text

STATE = {"governor": None, "clock_mhz": None, "temperature_c": None, "cores": [0, 1]}
MACHINE = {
    "system": "Linux", "processor": "p", "cores": 2, "memory_bytes": 1, "instructions": [],
}  # fmt: skip


def told(us: np.ndarray, threads: int = 1, **changes: Any) -> dict[str, Any]:
    """What the agent tells of a process."""
    from edgekd.agent.agent import distribution

    return {
        "runtime": "litert",
        "runtime_version": "2",
        "threads": threads,
        "latency_us": distribution(us * 1e3),
        "quantiles_us": np.quantile(us, np.linspace(0, 1, 1001)).tolist(),
        "ends_us": [float(us[0]), float(us[-1])],
        "load_ms": 2.0,
        "first_us": 150.0,
        "warmup": {"runs": 9, "seconds": 0.1, "mean_us": 120.0, "steady": True},
        "waited": 0.0,
        "energy_uj": None,
        "before": STATE,
        "after": STATE,
        "rss_load_bytes": 1 << 20,
        "peak_rss_bytes": 50 << 20,
        "rss_growth_bytes": 3 << 20,
        "warnings": [],
        "disturbed": [],
        **changes,
    }


def row(name: str, ratio: float = 1.0, processes: int = 5, seed: int = 0, **known: Any) -> BenchRow:
    generator = np.random.default_rng(seed)
    threads = known.pop("threads", 1)
    parts = [
        told(100 * ratio * math.exp(0.01 * generator.standard_normal())
             + generator.exponential(3, 400), threads)
        for _ in range(processes)
    ]  # fmt: skip
    fixed = {"model": name, "stage": "", "seed": 0, "precision": "", "device": "local", "bytes": 9}
    return gather(parts, fixed | known)


def result(*rows: BenchRow) -> BenchResult:
    return BenchResult.model_validate(
        {"edgekd": "0", "date": "", "settings": {}, "machines": {"local": MACHINE}, "rows": rows}
    )


def test_figures_of_several_processes_are_those_of_all_runs():
    generator = np.random.default_rng(0)
    parts = [generator.lognormal(4, 0.1, n) for n in (300, 1000, 4000)]
    found, us = latency([told(part) for part in parts]), np.concatenate(parts)
    assert found.n == 5300
    assert found.mean == pytest.approx(us.mean()) and found.std == pytest.approx(us.std(ddof=1))
    assert (found.min, found.max) == pytest.approx((us.min(), us.max()))
    for name, percent in (("p50", 50), ("p90", 90), ("p95", 95), ("p99", 99)):
        assert getattr(found, name) == pytest.approx(np.percentile(us, percent), rel=0.005)
    assert found.mad == pytest.approx(np.median(np.abs(us - np.median(us))), rel=0.01)
    assert found.p50_low < found.p50 < found.p50_high


def test_notes_of_processes_are_counted_once_each():
    parts = [
        told(np.full(9, 5.0), disturbed=["the clock fell from 9 to 8 MHz"], warnings=["one"]),
        told(np.full(9, 5.0), disturbed=["the clock fell from 9 to 7 MHz"]),
        told(np.full(9, 5.0)),
    ]
    fixed = {"model": "", "stage": "", "seed": 0, "precision": "", "device": "", "bytes": 9}
    made = gather(parts, fixed)
    assert made.disturbed == ["the clock fell from 9 to 8 MHz (in 2 of 3 processes)"]
    assert made.warnings == ["one (in 1 of 3 processes)"]
    assert gather(parts[:1], fixed).warnings == ["one"]
    assert made.processes == 3 and [run.round for run in made.runs] == [0, 1, 2]


def test_within_one_result_the_first_file_is_the_measure():
    both = result(
        *(row(name, ratio, threads=t) for t in (1, 2) for name, ratio in (("a", 1), ("b", 1.2)))
    )
    pairs = within(both, 0.95)
    assert [(p.first.model, p.second.model, p.second.threads) for p in pairs] == [
        ("a", "b", 1), ("a", "b", 2),
    ]  # fmt: skip
    assert all(p.times.pairs == 5 and p.times.verdict == "slower" for p in pairs)
    assert "b against a, 2 threads" in describe(pairs[1]) and ": slower" in describe(pairs[1])
    with pytest.raises(DataError, match="nothing to compare"):
        within(result(row("a")), 0.95)


def test_between_results_files_are_found_by_name():
    before = result(row("x/a.onnx", seed=1), row("x/b.onnx", seed=2))
    after = result(row("y/b.onnx", 1.5, seed=3), row("y/c.onnx", seed=4))
    (pair,) = between(before, after, 0.95)
    assert (pair.first.model, pair.second.model) == ("x/b.onnx", "y/b.onnx")
    assert pair.times.pairs == 0 and any("measured apart" in note for note in notes([pair]))
    (lone,) = between(result(row("a")), result(row("other")), 0.95)
    assert lone.second.model == "other"
    with pytest.raises(DataError, match="no file in common"):
        between(result(row("a", threads=2)), result(row("a")), 0.95)


def test_a_regression_is_shown_and_beyond_the_bound():
    def pairs(ratio, processes=5):
        return between(result(row("a")), result(row("a", ratio, processes, seed=1)), 0.95)

    assert len(regressions(pairs(1.2), 0.05)) == 1
    assert regressions(pairs(1.2), 0.3) == []
    assert regressions(pairs(0.8), 0.05) == []
    assert regressions(pairs(1.2, processes=1), 0.05) == []
    assert any("one process" in note for note in notes(pairs(1.2, processes=1)))


@pytest.mark.parametrize(
    ("text", "share"), [("5%", 0.05), ("5 %", 0.05), ("0.05", 0.05), ("12.5%", 0.125)]
)
def test_shares(text, share):
    assert read_share(text) == pytest.approx(share)


@pytest.mark.parametrize("text", ["", "five", "-5%", "5%%"])
def test_no_shares(text):
    with pytest.raises(ConfigError):
        read_share(text)


def test_the_lines_of_benchmark_model():
    lines = summary_lines([row("m.tflite")])
    (timing,) = (line for line in lines if "Inference timings" in line)
    assert timing.startswith(
        "INFO: Inference timings in us: Init: 2000, First inference: 150, Warmup (avg): 120, "
        "Inference (avg): 10"
    )
    assert lines[-1] == (
        "INFO: Memory footprint delta from the start of the tool (MB): init=1 overall=3"
    )
    (counts,) = (line for line in lines if "count=" in line)
    words = dict(word.split("=") for word in counts.removeprefix("INFO: ").split())
    assert list(words) == [
        "count", "first", "curr", "min", "max", "avg", "std", "p5", "median", "p95",
    ]  # fmt: skip
    assert int(words["count"]) == 2000
    assert int(words["min"]) <= int(words["p5"]) <= int(words["median"]) <= int(words["p95"])


def written(folder: Path, name: str, found: BenchResult) -> str:
    (folder / name).write_text(found.model_dump_json())
    return str(folder / name)


def test_the_command_compares_and_fails(tmp_path):
    fast = written(tmp_path, "fast.json", result(row("a")))
    slow = written(tmp_path, "slow.json", result(row("a", 1.2, seed=1)))
    run = CliRunner().invoke

    done = run(app, ["compare", fast, slow])
    assert done.exit_code == 0 and ": slower" in done.output
    assert run(app, ["compare", fast, slow, "--fail-above", "5%"]).exit_code == 1
    assert run(app, ["compare", fast, slow, "--fail-above", "50%"]).exit_code == 0
    assert run(app, ["compare", slow, fast, "--fail-above", "5%"]).exit_code == 0


@pytest.mark.parametrize("text", ["{}", "not json", '{"format": "edgekd-bench-1"}'])
def test_what_is_no_result(tmp_path, text):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match="no result of edgekd bench"):
        read_result(tmp_path / "a.json")
    with pytest.raises(DataError, match="cannot be read"):
        read_result(tmp_path / "absent.json")


def test_files_take_turns_and_the_result_keeps_the_schema(tmp_path, monkeypatch):
    """The real thing: two runtimes, three processes each, through the command."""
    from edgekd.devices import LocalDevice

    tiny = Tiny()
    paths = [tiny.write(tmp_path, form, "int8") for form in ("onnx", "tflite")]
    order: list[str] = []
    measure = LocalDevice.run
    monkeypatch.setattr(
        LocalDevice,
        "run",
        lambda self, job, limit: order.append(Path(job["model"]).name) or measure(self, job, limit),
    )
    out = tmp_path / "out.json"
    done = CliRunner().invoke(
        app,
        ["bench", *map(str, paths), "--threads", "1", "--processes", "3", "--num-runs", "30",
         "--min-secs", "0.03", "--profile", "--stream", "50", "--deadline", "15",
         "--stream-secs", "0.1", "--json", str(out)],
    )  # fmt: skip
    assert done.exit_code == 0, done.output
    assert order == ["int8.onnx", "int8.tflite"] * 4  # the last round is the profiles'
    assert "int8.tflite against int8.onnx" in done.output and "Gemm" in done.output
    assert "Fully Connected" in done.output and "together" in done.output

    raw = json.loads(out.read_text())
    Draft202012Validator(json.loads(schema_text("bench"))).validate(raw)
    found = read_result(out)
    assert [len(r.runs) for r in found.rows] == [3, 3]
    assert [r.processes for r in found.rows] == [3, 3]
    assert all(r.latency_us.n == sum(p.n for p in r.runs) >= 30 for r in found.rows)
    assert all(r.profile and not r.profile_note and r.runtime_version for r in found.rows)
    assert found.machines["local"].cores >= 1
    assert [(r.stream.frames, r.stream.deadline_ms) for r in found.rows] == [(5, 15), (5, 15)]
    assert "of 5 later than 15 ms" in done.output.replace("\n", " ")
    assert CliRunner().invoke(app, ["compare", str(out)]).exit_code == 0


def test_standard_output_alone(tmp_path):
    path = str(Tiny().write(tmp_path, "onnx", "float32"))
    done = CliRunner().invoke(app, ["bench", path, "--threads", "1", "--quick", "--json", "-"])
    assert BenchResult.model_validate_json(done.stdout).rows[0].processes == 1


def test_files_of_one_name_are_matched_by_their_paths():
    names = ("a/student.tflite", "b/student.tflite")
    pairs = between(result(*map(row, names)), result(*map(row, reversed(names))), 0.95)
    assert [(p.first.model, p.second.model) for p in pairs] == [(n, n) for n in names]
    elsewhere = result(row("c/student.tflite"), row("d/student.tflite"))
    with pytest.raises(DataError, match="Several files"):
        between(result(*map(row, names)), elsewhere, 0.95)
