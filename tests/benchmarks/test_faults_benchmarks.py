"""The benchmark of kills: what it calls lost is lost, and its first stages are killed and go on."""

from __future__ import annotations

import pytest

from benchmarks.faults import kills


def test_a_changed_and_a_repeated_stage_are_lost(tmp_path):
    seen = kills.Kills.__new__(kills.Kills)
    seen.checked, seen.lost = 0, []
    run = kills.Run.__new__(kills.Run)
    run.made = ["distill"]
    before = {"data-1": "a", "teacher-2": "b", "export-teacher-3": "c", "distill-4": "d"}
    now = {"data-1": "a", "teacher-2": "other", "distill-4": "d"}
    seen._look(before, now, run, "kill 1")
    assert seen.checked == 4
    assert seen.lost == [
        f"kill 1: {name}" for name in ("teacher-2", "export-teacher-3", "distill-4")
    ]


def test_any_byte_of_a_finished_stage_counts(tmp_path):
    stage = tmp_path / "run" / "data-1"
    stage.mkdir(parents=True)
    (stage / "x.npy").write_bytes(b"12")
    assert kills.finished(tmp_path) == {}  # it has no manifest: it is not finished
    (stage / "manifest.json").write_text('{"seconds": 1, "models": [2]}')
    first, found = kills.finished(tmp_path), kills.results(tmp_path)
    assert set(found) == {"run/data-1/x.npy", "run/data-1/manifest.json:models"}
    (stage / "x.npy").write_bytes(b"13")
    assert kills.finished(tmp_path) != first
    assert kills.agreed(found, kills.results(tmp_path)) == {
        "run/data-1/manifest.json:models": "[2]"
    }


@pytest.mark.slow
def test_the_first_stages_are_killed_and_go_on(run_benchmark, tmp_path):
    figures = run_benchmark("faults.kills", "--quick", "--work", tmp_path / "work")["figures"]
    assert figures["compared"] > 10
    assert figures["kills"]
    assert not figures["lost"] + figures["failed"] + figures["wrong"]
