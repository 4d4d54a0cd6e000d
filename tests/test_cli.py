"""The command line's options that need no run."""

from __future__ import annotations

from importlib.metadata import version
from pathlib import Path

from typer.testing import CliRunner

from edgekd.cli import app
from edgekd.pipeline import resolve
from edgekd.plan import make_plan
from edgekd.store import MANIFEST, Store, write_json


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
