"""Energy from the processor's counters to the result and the table, in a made /sys."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from tiny_models import Tiny

from edgekd.agent import agent
from edgekd.bench.jobs import bench_files
from edgekd.bench.table import HEADER, format_bench
from edgekd.config.stages import BenchSettings
from edgekd.devices import LocalDevice
from edgekd.schema import schema_text

RUNS, SPAN, USED = 20, 1_000_000, 50_000
SHORT = BenchSettings(min_runs=RUNS, min_seconds=0.001, threads=(1,), processes=1)


def zone(root: Path, name: str, kind: str, now: int) -> Path:
    folder = root / name
    folder.mkdir()
    for file, value in (("name", kind), ("energy_uj", now), ("max_energy_range_uj", SPAN)):
        (folder / file).write_text(f"{value}\n")
    return folder / "energy_uj"


@pytest.fixture
def counters(tmp_path, monkeypatch) -> Path:
    """Folder of the counters: each measurement uses `USED` microjoules in every package, and jobs
    run in this process, where the folder is known."""
    root = tmp_path / "powercap"
    root.mkdir()
    monkeypatch.setattr(agent, "POWERCAP", str(root))
    runs = agent._runs

    def counted(model: Any, placed: Any, times: Any, *rest: Any) -> None:
        runs(model, placed, times, *rest)
        for file in filter(Path.is_file, root.glob("*/energy_uj")):
            file.write_text(f"{(int(file.read_text()) + USED) % SPAN}\n")

    monkeypatch.setattr(agent, "_runs", counted)
    monkeypatch.setattr(LocalDevice, "run", lambda self, job, timeout: agent.perform(job))
    return root


def measured(folder: Path) -> tuple[float | None, dict[str, Any], dict[str, str]]:
    """The row's energy, the result as it is written, and the table's row by column."""
    Tiny().write(folder, "tflite", "int8")
    result = bench_files([folder / "int8.tflite"], SHORT)
    written = json.loads(result.model_dump_json())
    Draft202012Validator(json.loads(schema_text("bench"))).validate(written)
    header, shown = format_bench(result.rows)
    return result.rows[0].energy_uj, written["rows"][0], dict(zip(header, shown, strict=True))


@pytest.mark.parametrize("start", [7, SPAN - 1], ids=["counts on", "starts again"])
def test_it_is_an_inferences_of_all_packages(counters, tmp_path, start):
    zone(counters, "intel-rapl:0", "package-0", start)
    zone(counters, "intel-rapl:1", "package-1", 0)
    zone(counters, "intel-rapl:0:0", "core", start)  # a part of the package
    zone(counters, "intel-rapl:2", "psys", start)  # all of the machine
    energy, row, shown = measured(tmp_path)
    runs = row["latency_us"]["n"]
    assert runs >= RUNS
    assert energy == row["energy_uj"] == pytest.approx(2 * USED / runs)
    value, unit = shown["energy"].split()
    assert float(value) * {"µJ": 1.0, "mJ": 1e3}[unit] == pytest.approx(energy, rel=0.006)


@pytest.mark.parametrize("file", ["energy_uj", "max_energy_range_uj"])
def test_a_counter_that_may_not_be_read_is_none(counters, tmp_path, file):
    """Not a lesser number: only root may read it on most machines."""
    path = zone(counters, "intel-rapl:0", "package-0", 7).with_name(file)
    path.unlink()
    path.mkdir()  # refuses root, too
    energy, row, shown = measured(tmp_path)
    assert energy is None and row["energy_uj"] is None and "energy" not in shown


def test_no_counter_no_column(counters, tmp_path):
    energy, row, shown = measured(tmp_path)
    assert energy is None and row["energy_uj"] is None
    assert "energy" in HEADER and "energy" not in shown
