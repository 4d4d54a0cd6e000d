"""`edgekd check RUN` as a user gives it: exit codes, files, bad input."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from gate_runs import changed, student

from edgekd.cli import main
from edgekd.gates import told
from edgekd.gates.finding import Finding


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs the command line: its exit code, and what it said."""

    def run(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["edgekd", "check", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert len(said.err.splitlines()) <= 24
        return int(end.value.code or 0), said.out + said.err

    return run


def test_a_kept_budget_is_exit_code_0(command: Any, released: Path, tmp_path: Path):
    junit, markdown = tmp_path / "made/check.xml", tmp_path / "check.md"
    code, said = command(released, "--junit", junit, "--markdown", markdown)
    assert code == 0
    assert "kept        size" in said and "3 rules, none fails" in said
    suite = ElementTree.parse(junit).getroot().find("testsuite")
    assert suite is not None
    assert (suite.get("tests"), suite.get("failures"), suite.get("skipped")) == ("3", "0", "0")
    assert markdown.read_text().startswith("### edgekd check: mine\n")


def test_a_missed_one_is_exit_code_3(command: Any, released: Path, tmp_path: Path):
    gate = tmp_path / "gate.yaml"
    gate.write_text("size: 1 kB\naccuracy: 1 %\nlatency: {device: pi4, p50: 2 ms}\n")
    junit, markdown = tmp_path / "check.xml", tmp_path / "check.md"
    code, said = command(released, "--budget", gate, "--junit", junit, "--markdown", markdown)
    assert code == 3
    assert "failed      size" in said and "The check fails: size failed" in said
    assert "unverified  latency p50 on pi4" in said
    cases = {c.get("name"): c for c in ElementTree.parse(junit).getroot().iter("testcase")}
    assert len(cases) == 3
    types = {name: [f.get("type") for f in c.findall("failure")] for name, c in cases.items()}
    assert types == {
        "size": ["failed"],
        "accuracy": [],
        "latency p50 on pi4, 1 thread": ["unverified"],
    }
    rows = [line for line in markdown.read_text().splitlines() if line.startswith("| ")]
    assert len(rows) == 5 and sum("**" in row for row in rows) == 2


def test_a_worse_run_than_the_released_one_is_exit_code_3(
    command: Any, released: Path, tmp_path: Path
):
    def larger(raw: dict[str, Any]) -> None:
        student(raw)["bytes"] *= 2

    new = changed(released, tmp_path / "new", larger)
    junit = tmp_path / "check.xml"
    code, said = command(new, "--baseline", released, "--junit", junit)
    assert code == 3 and "failed      size against the baseline" in said
    skipped = [
        c
        for c in ElementTree.parse(junit).getroot().iter("testcase")
        if c.find("skipped") is not None
    ]
    assert [c.get("name") for c in skipped] == ["latency p50 on local, 1 thread"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("sise: 1 kB\n", ["line 1, sise", "did you mean size?"]),
        ("regression: {sizes: 1 %}\n", ["regression.sizes", "did you mean size?"]),
        ("regression: {size: 1 %}\n", ["--baseline RUN"]),
        ("confidence: 30 %\n", ["confidence"]),
        ("size: 1 parsec\n", ["units"]),
        ("format: onnx\n", ["nothing to check"]),
        ("size: [\n", ["not YAML"]),
    ],
)
def test_a_wrong_budget_file_is_exit_code_2(
    command: Any, released: Path, tmp_path: Path, text: str, parts: list[str]
):
    gate = tmp_path / "gate.yaml"
    gate.write_text(text)
    code, said = command(released, "--budget", gate)
    assert code == 2
    for part in parts:
        assert part in said


def test_what_is_no_run(command: Any, released: Path, tmp_path: Path):
    assert command(tmp_path)[0] == 2
    assert command(tmp_path / "nowhere")[0] == 2
    assert command(released, "--budget", tmp_path / "none.yaml")[0] == 2
    assert command(released, "--baseline", tmp_path)[0] == 2
    code, said = command(released, "--golden", "golden.json")
    assert code == 2 and "--golden goes with a file" in said
    file = next(released.glob("export-*/student-float32.onnx"))
    for option in ("--budget", "--baseline", "--junit", "--markdown"):
        code, said = command(file, option, "x")
        assert code == 2 and f"{option} goes with a run folder" in said
    assert command(released, "--budget", released.parent)[0] == 2


def test_a_file_with_golden_samples_is_checked_as_ever(command: Any, released: Path, capsys: Any):
    file = next(released.glob("export-*/student-float32.onnx"))
    code, said = command(file, "--golden", file.with_name("golden.json"))
    assert code == 0 and "samples as exported" in said


def test_a_damaged_or_unfinished_run_is_exit_code_1(command: Any, released: Path, tmp_path: Path):
    def unfinished(raw: dict[str, Any]) -> None:
        raw["models"] = [m for m in raw["models"] if m["stage"] != "student"]

    code, said = command(changed(released, tmp_path / "until", unfinished))
    assert code == 1 and "without --until" in said
    broken = changed(released, tmp_path / "broken", lambda raw: None)
    summary = broken / "summary.json"
    whole = summary.read_text()
    summary.write_text(whole[: len(whole) // 2])
    assert command(broken)[0] == 1
    assert command(released, "--baseline", broken)[0] == 1
    summary.write_text(json.dumps({"pipeline": "mine"}))
    assert command(broken)[0] == 1
    other = changed(released, tmp_path / "old", lambda raw: raw["settings"].update(later=1))
    code, said = command(other)
    assert code == 1 and "another version" in said


def test_texts_cannot_break_out_of_their_files():
    text = "a|b <script> \x00\x1b & `c` \ud800"
    found = [Finding("budget", text, "failed", True, text, text, text)]
    root = ElementTree.fromstring(told.junit(found, text))
    (case,) = root.iter("testcase")
    assert case.get("name") == "a|b <script> ?? & `c` ?"
    row = told.markdown(found, "x").splitlines()[-1]
    assert "<script>" not in row.replace("\\<script\\>", "")
    assert row.replace("\\|", "").count("|") == 6
