"""The house's rules: imports go one way, and heavy libraries come late."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[1] / "edgekd"

LAYERS = [
    {"__main__"},
    {"cli", "__init__"},
    {"deploy", "labels", "sweep"},
    {"pipeline"},
    {"clean", "ahead"},
    {"plan", "summary", "advice", "starter", "doctor", "search", "gates", "tracking"},
    {"nodes", "outside", "verdicts", "workers"},
    {"schema"},
    {"stages"},
    {"propose", "given", "registry"},
    {"distill", "compress", "export", "quality", "bench", "package", "report"},
    {"train", "runtimes", "devices"},
    {"tasks", "environments"},
    {"models", "data"},
    {"keys", "inputs", "references", "mlflow_client"},
    {"sweep_results"},
    {"store", "config", "spec", "results", "statistics"},
    {"database"},
    {"errors", "progress"},
]
"""From the top to the ground. A part may import those of lower layers and itself."""
ALLOWED_BESIDE = {("bench", "agent"), ("runtimes", "agent"), ("devices", "agent")}
"""`agent` imports nothing of edgekd, and these three run it."""


def _part(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else "__init__"


def _imports(path: Path) -> set[str]:
    """The edgekd modules that a file imports anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            is_package = (PACKAGE.parent / Path(*node.module.split("."))).is_dir()
            names = [f"{node.module}.{a.name}" for a in node.names] if is_package else []
            found |= {node.module, *names}
    return {name for name in found if name.startswith("edgekd.")}


def _layer(part: str) -> int:
    return next(index for index, layer in enumerate(LAYERS) if part in layer)


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(PACKAGE)))
def test_imports_go_one_way(path: Path):
    relative = path.relative_to(PACKAGE)
    part = relative.parts[0].removesuffix(".py")
    imports = _imports(path)
    if part == "agent":
        assert not imports, "the agent is sent to devices as a single file"
        return
    for module in imports:
        other = _part(module)
        if other == part or (part, other) in ALLOWED_BESIDE:
            continue
        assert _layer(other) > _layer(part), f"{relative} must not import {module}"


def _loaded_by(code: str) -> set[str]:
    program = f"{code}\nimport sys\nprint('\\n'.join(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return {name.split(".")[0] for name in done.stdout.split("\n")}


HEAVY = {"torch", "torchao", "onnx", "onnxruntime", "litert_torch", "ai_edge_litert", "jax"}
HEAVY |= {
    "scipy",
    "sklearn",
    "matplotlib",
    "jinja2",
    "torch_pruning",
    "tensorflow",
    "optuna",
    "sqlalchemy",
}


@pytest.mark.parametrize(
    "code",
    [
        "import edgekd",
        "import edgekd.cli",
        "import edgekd.pipeline",
        "from edgekd.plan import make_plan\nfrom edgekd.pipeline import resolve\n"
        "[node.key for node in make_plan(*resolve('digits'))]",
    ],
)
def test_heavy_libraries_come_late(code: str):
    assert not _loaded_by(code) & HEAVY


def test_every_file_belongs_to_a_layer():
    parts = {path.relative_to(PACKAGE).parts[0].removesuffix(".py") for path in FILES}
    assert parts - {"agent"} <= set().union(*LAYERS)


def test_modules_of_tests_have_names_of_their_own() -> None:
    """pytest imports them by their name alone, and stops at the second of one name."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(set(names)) == sorted(names)
