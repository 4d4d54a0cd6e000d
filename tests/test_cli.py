"""The command line's options that need no run."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path

import pytest
from typer.testing import CliRunner

sys.path.append(str(Path(__file__).resolve().parent / "report"))
from report_example import example_summary

from edgekd.clean import clean
from edgekd.cli import app
from edgekd.errors import EdgekdError
from edgekd.pipeline import resolve
from edgekd.plan import make_plan
from edgekd.results import StageFigures
from edgekd.store import MANIFEST, Store, locked, write_json


def test_version():
    done = CliRunner().invoke(app, ["--version"])
    assert (done.exit_code, done.stdout) == (0, f"edgekd {version('edgekd')}\n")


def test_plan_tells_what_from_makes_again(tmp_path: Path):
    store = Store(tmp_path / "digits")
    for node in make_plan(*resolve("digits")):
        folder = store.path(node.stage, node.key)
        folder.mkdir(parents=True)
        write_json(folder / MANIFEST, {})

    def states(*more: str) -> dict[str, str]:
        done = CliRunner().invoke(app, ["run", "digits", "--plan", "--runs", str(tmp_path), *more])
        assert done.exit_code == 0, done.output
        return {line.split()[0]: line[31:39].strip() for line in done.stdout.splitlines()}

    assert set(states().values()) == {"finished"}
    again = states("--from", "export")
    assert {name for name, state in again.items() if state == "to do"} == {
        "export", "quality", "bench",
    }  # fmt: skip
    assert set(states("--from", "data").values()) == {"to do"}


def test_clean_takes_only_artefacts_that_the_latest_run_did_not_use(tmp_path: Path):
    summary = example_summary()
    summary.stages = [
        StageFigures(name="data", key="a" * 12, cached=True, seconds=1, folder="data-" + "a" * 12)
    ]
    old, kept = f"export-teacher-{'b' * 12}", summary.stages[0].folder
    for name in (old, kept, "distill-mine", "notes", f"prune-{'c' * 12}"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.bin").write_bytes(bytes(1000))
    for name in (old, kept, "distill-mine"):
        (tmp_path / name / MANIFEST).write_text("{}")
    (tmp_path / f"teacher-{'d' * 12}").symlink_to(tmp_path / "notes")
    write_json(tmp_path / "summary.json", summary.model_dump(mode="json"))
    before = sorted(path.name for path in tmp_path.iterdir())
    done = CliRunner().invoke(app, ["clean", str(tmp_path), "--dry-run"])
    assert done.stdout.splitlines() == [f"{old}  1.00 kB", "1 artefacts, 1.00 kB would be freed"]
    assert sorted(path.name for path in tmp_path.iterdir()) == before
    with (
        locked(tmp_path / ".work" / "export.lock"),
        pytest.raises(EdgekdError, match="Another edgekd"),
    ):
        clean(tmp_path, summary)
    done = CliRunner().invoke(app, ["clean", str(tmp_path)])
    assert done.stdout.splitlines()[-1] == "1 artefacts, 1.00 kB freed"
    left = sorted(path.name for path in tmp_path.iterdir() if path.name != ".work")
    assert left == [name for name in before if name != old]
    assert clean(tmp_path, summary) == []
