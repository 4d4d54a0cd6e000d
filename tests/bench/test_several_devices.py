"""Several devices in one measurement: one that fails does not stop the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from tiny_models import Tiny

from edgekd.bench.gather import gather_emulated
from edgekd.bench.jobs import BenchModel, bench_files, measure
from edgekd.bench.result import BenchResult
from edgekd.bench.table import format_bench
from edgekd.config.stages import BenchSettings
from edgekd.errors import StageError
from edgekd.schema import schema_text

SHORT = {"min_runs": 20, "min_seconds": 0.01, "threads": (1,)}


@pytest.fixture
def folder(tmp_path) -> Path:
    """A file, a board where nobody answers, and one that cannot run the file."""
    Tiny().write(tmp_path, "tflite", "int8")
    (tmp_path / "devices").mkdir()
    for name, fields in {
        "nobody": {"kind": "ssh", "host": "127.0.0.1", "port": 1},
        "onnx-only": {"runtimes": ["onnxruntime"]},
    }.items():
        text = json.dumps({"name": name, **fields})  # JSON is YAML
        (tmp_path / "devices" / f"{name}.yaml").write_text(text)
    return tmp_path


def test_the_others_are_measured_and_the_failure_is_told(folder):
    model = BenchModel(folder / "int8.tflite", "student", 0, "int8", "tflite")
    told: list[str] = []
    settings = BenchSettings(devices=("nobody", "local", "onnx-only"), **SHORT)
    rows = measure([model], settings, run_folder=folder, base=folder, told=told.append)
    assert [row.device for row in rows] == ["local"]
    assert ["nobody" in told[0], "onnx-only" in told[1]] == [True, True]
    assert "cannot be reached" in told[0] and "None of the files runs" in told[1]


def test_nothing_is_made_up_where_all_fail(folder, monkeypatch):
    monkeypatch.chdir(folder)
    with pytest.raises(StageError, match="cannot be reached"):
        bench_files([Path("int8.tflite")], BenchSettings(devices=("nobody",), **SHORT))
    with pytest.raises(StageError, match="None of the devices") as caught:
        bench_files([Path("int8.tflite")], BenchSettings(devices=("nobody", "onnx-only"), **SHORT))
    assert "nobody: " in caught.value.where and "onnx-only: " in caught.value.where


def test_the_command_shows_what_there_is_and_fails(folder):
    command = [sys.executable, "-c", "from edgekd.cli import main; main()", "bench", "int8.tflite"]
    devices = ["--device", "nobody", "--device", "local"]
    done = subprocess.run(
        [*command, *devices, "--threads", "1", "--quick", "--json", "out.json"],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done.stderr
    assert "int8.tflite" in done.stdout and "Traceback" not in done.stderr
    assert "the device nobody gave no result. The device cannot be reached." in done.stderr
    written = (folder / "out.json").read_text()
    Draft202012Validator(json.loads(schema_text("bench"))).validate(json.loads(written))
    result = BenchResult.model_validate_json(written)
    assert list(result.failed) == ["nobody"] and [r.device for r in result.rows] == ["local"]


def test_a_row_of_an_emulated_device_has_no_times():
    agents = {
        **{"runtime": "litert", "runtime_version": "2", "threads": 1, "load_ms": 4.0},
        **{"first_us": 9.0, "peak_rss_bytes": 7_000_000, "rss_growth_bytes": 2_000_000},
        "latency_us": {"p50": 123.0},
    }
    known = {"model": "a.tflite", "stage": "", "seed": 0, "precision": "int8", "bytes": 900}
    row = gather_emulated(agents, {**known, "device": "arm64", "accuracy": None, "metrics": []})
    assert row.latency_us is None and row.load_ms is None and row.first_us is None
    assert row.energy_uj is None and row.runs == [] and "emulated" in row.warnings[0]
    head, shown = format_bench([row])
    assert not {"p50", "p90", "± 95 %"} & set(head) and "2.00 MB" in shown
    assert row.instructions is None and "instructions" not in head
    assert BenchResult.model_fields["rows"].annotation == list[type(row)]
    counted = {**agents, "instructions": [1_250_400, 1_250_300, 1_250_900]}
    known |= {"device": "arm64", "accuracy": None, "metrics": [], "emulated": "cortex-a53"}
    row = gather_emulated(counted, known, ["a note"])
    assert (row.instructions, row.emulated) == (1_250_400, "cortex-a53")
    assert row.counted == counted["instructions"] and row.warnings[-1] == "a note"
    head, shown = format_bench([row])
    assert shown[head.index("instructions")] == "1.25 M"
