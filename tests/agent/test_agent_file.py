"""The agent is one file that old Pythons can read and that needs nothing of edgekd."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from edgekd.agent import agent

SOURCE = Path(agent.__file__).read_text(encoding="utf-8")
TREE = ast.parse(SOURCE, feature_version=(3, 9))
RUNTIMES = {"onnxruntime", "ai_edge_litert", "tflite_runtime"}


def imported(tree: ast.AST) -> set[str]:
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0
            names.add(str(node.module).split(".")[0])
    return names


def test_imports_only_the_standard_library_numpy_and_runtimes():
    outside = imported(TREE) - set(sys.stdlib_module_names)
    assert outside == {"numpy"} | RUNTIMES


def test_runtimes_are_not_imported_at_the_top():
    top = ast.Module([n for n in TREE.body if isinstance(n, ast.Import | ast.ImportFrom)], [])
    assert imported(top) & RUNTIMES == set()


def test_the_parser_refuses_newer_syntax():
    with pytest.raises(SyntaxError):
        ast.parse("match x:\n case 1: pass", feature_version=(3, 9))


def test_no_runtime_unions_or_newer_arguments():
    """What 3.9 parses but cannot run: X | Y of types outside annotations, zip's `strict`."""
    for node in ast.walk(TREE):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id == "zip":
                assert not node.keywords
            if node.func.id in ("isinstance", "issubclass"):
                assert not isinstance(node.args[1], ast.BinOp)
        if isinstance(node, ast.keyword):
            assert node.arg not in ("slots", "kw_only")
