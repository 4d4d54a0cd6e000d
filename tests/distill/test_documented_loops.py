"""The examples of docs/distillation.md run as they stand, each in an empty folder."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "docs/distillation.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", TEXT, re.MULTILINE | re.DOTALL)
INNER = {"teacher_loss", "top_kd_loss"}
"""What chooses among the others, and what reads a cache of the top classes."""


def test_there_are_examples_of_every_loss():
    for module in (Path(__file__).parents[2] / "edgekd/distill").glob("*.py"):
        for name in re.findall(r"^def ([a-z]\w*_loss)\(", module.read_text(), re.MULTILINE):
            if name not in INNER:
                assert any(f"{name}(" in block for block in BLOCKS), f"{module.name}: {name}"


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_an_example_runs(number, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[number], f"docs/distillation.md, block {number}", "exec"), {})
