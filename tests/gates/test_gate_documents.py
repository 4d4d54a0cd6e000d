"""The action, the examples of docs/gates.md and its tables are true of the command."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
import yaml

from edgekd.cli import app
from edgekd.config.gate import GateSettings, RegressionSettings
from edgekd.config.load import validate
from edgekd.statistics import paired_share_interval

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "gates.md"
ACTION = ROOT / "action.yml"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
TABLE = re.compile(r"<!-- gate: (\w+) -->\n((?:\|.*\n)+)")


def blocks(language: str) -> list[str]:
    return [text for name, text in BLOCK.findall(PAGE.read_text()) if name == language]


def known_options() -> set[str]:
    command = typer.main.get_command(app).commands["check"]  # type: ignore[attr-defined]
    return {option for parameter in command.params for option in parameter.opts}


def steps() -> dict[str, dict[str, Any]]:
    """The action's own steps by name."""
    raw = yaml.safe_load(ACTION.read_text())
    return {step["name"]: step for step in raw["runs"]["steps"] if "name" in step}


def test_the_budget_file_of_the_page_is_valid():
    gate = validate(GateSettings, yaml.safe_load(blocks("yaml")[0]))
    assert gate.regression is not None
    wanted = {"accuracy": 0.005, "latency": 0.05, "size": 0.02, "confidence": 0.95}
    assert gate.regression.model_dump(exclude={"unverified"}) == pytest.approx(wanted)
    assert (gate.size, gate.confidence) == (25_000, pytest.approx(0.95))


def test_the_pages_tables_have_every_field_and_its_default():
    tables = dict(TABLE.findall(PAGE.read_text()))
    own = {n: f for n, f in GateSettings.model_fields.items() if n in GateSettings.__annotations__}
    for name, fields in (
        ("GateSettings", own),
        ("RegressionSettings", RegressionSettings.model_fields),
    ):
        rows = [line.strip("| ").split("|") for line in tables[name].splitlines()[2:]]
        told = {row[0].strip(" `"): yaml.safe_load(row[1].strip(" `")) for row in rows}
        assert told == {n: f.default for n, f in fields.items()}


def test_the_pages_figures_are_the_intervals():
    text = " ".join(PAGE.read_text().split())
    low, high = paired_share_interval(352, 0, 0, 360)
    assert low == -high and f"interval of {100 * high:.1f} points to either side" in text
    _, drop = paired_share_interval(9700, 80, 60, 10_000)
    assert f"9,780 right and 80 lost for 60 won, the interval ends {100 * drop:.2f} points" in text


def test_the_workflow_gives_the_action_what_it_takes():
    action = yaml.safe_load(ACTION.read_text())
    workflow = yaml.safe_load(blocks("yaml")[1])
    given = workflow["jobs"]["model"]["steps"][-1]["with"]
    assert set(given) <= set(action["inputs"])
    assert all(text["description"] for text in action["inputs"].values())
    # What inputs hold is never part of a script.
    assert not any("${{" in step.get("run", "") for step in action["runs"]["steps"])


def test_examples_use_options_that_exist():
    script = yaml.safe_load(blocks("yaml")[2])["model"]["script"]
    (gitlab,) = [shlex.split(line) for line in script if line.startswith("edgekd ")]
    (gradle,) = re.findall(r"commandLine\((.*?)\)", blocks("kotlin")[0], re.DOTALL)
    for words in (gitlab, re.findall(r'"([^"]+)"', gradle)):
        assert words[:2] == ["edgekd", "check"]
        assert {word for word in words if word.startswith("--")} <= known_options()
    braces = blocks("kotlin")[0]
    assert braces.count("{") == braces.count("}") and braces.count("(") == braces.count(")")


@pytest.mark.skipif(shutil.which("bash") is None, reason="the action's steps are for bash")
def test_the_actions_steps_check_a_run(released: Path, tmp_path: Path):
    """They run as GitHub runs them, but for the installation."""
    tool = tmp_path / "bin" / "edgekd"
    tool.parent.mkdir()
    call = "from edgekd.cli import main; main()"
    tool.write_text(f"#!/bin/sh\nexec {shlex.quote(sys.executable)} -c '{call}' \"$@\"\n")
    tool.chmod(0o755)
    gate = tmp_path / "a gate; touch pwned.yaml"
    gate.write_text("size: 1 kB\n")
    environment = {
        **os.environ,
        "PATH": f"{tool.parent}:{os.environ['PATH']}",
        "RUNNER_TEMP": str(tmp_path),
        "GITHUB_STEP_SUMMARY": str(tmp_path / "summary.md"),
        "RUN": str(released),
        "BUDGET": str(gate),
        "BASELINE": "",
    }

    def step(name: str) -> int:
        script = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", steps()[name]["run"]]
        return subprocess.run(script, env=environment, cwd=tmp_path, check=False).returncode

    assert set(steps()["Check"]["env"]) == {"RUN", "BUDGET", "BASELINE"}
    assert step("Check") == 3
    assert step("Tell") == 0
    assert "**failed** | size" in (tmp_path / "summary.md").read_text()
    assert ElementTree.parse(tmp_path / "edgekd-check.xml").getroot().get("failures") == "1"
    assert not list(tmp_path.glob("pwned*"))
    # A second check of the same job that ends before its verdicts does not tell those of the first.
    environment["RUN"] = str(tmp_path / "nothing")
    told = (tmp_path / "summary.md").read_text()
    assert step("Check") == 2 and step("Tell") == 0
    assert (tmp_path / "summary.md").read_text() == told
    assert not (tmp_path / "edgekd-check.xml").exists()


def test_two_checks_of_a_workflow_can_be_uploaded():
    """upload-artifact refuses a name that was taken."""
    action = yaml.safe_load(ACTION.read_text())
    (upload,) = [
        step for step in action["runs"]["steps"] if "upload-artifact" in step.get("uses", "")
    ]
    assert upload["with"]["name"] == "${{ inputs.artifact }}"
    assert action["inputs"]["artifact"]["default"]
