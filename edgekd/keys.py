"""What can change an artefact: the source of the code that makes it, and the library versions.

Nothing here imports what it looks at, and what was parsed once is remembered, so that a run that
finds everything finished is quick.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import platform
import sys
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgekd.store import cache_folder, write_atomic

PACKAGE = Path(__file__).resolve().parent
NO_EFFECT = ("edgekd.config", "edgekd.errors", "edgekd.progress", "edgekd.store", "edgekd.results")
"""Modules that cannot change a result: settings are in the key by value, the rest only says how
results are told and kept."""
COMPUTES = ("edgekd.config.schedules", "edgekd.config.pruning")
"""Settings that a training asks for numbers, epoch by epoch."""
DISTRIBUTIONS = {
    "ai_edge_litert": "ai-edge-litert",
    "litert_torch": "litert-torch",
    "sklearn": "scikit-learn",
    "torch_pruning": "torch-pruning",
}
"""Import names whose distribution is called otherwise."""
COMPUTING = ("torch", "torchao", "torch_pruning", "onnx", "onnxscript", "onnxruntime",
             "litert_torch", "ai_edge_litert", "numpy", "scipy", "sklearn")  # fmt: skip
"""Libraries whose version can change a result."""


@cache
def source_of(module: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """A module's code as a digest, and the edgekd modules and the libraries that it imports.

    Comments, docstrings and layout do not count.
    """
    code, names = _code_and_imports(_path(module).read_bytes())
    ours: set[str] = set()
    others: set[str] = set()
    for name in names:
        if name == "edgekd":
            continue  # `from edgekd import inputs`; the package itself only offers `run`
        if name.split(".")[0] == "edgekd":
            ours |= {name} if _path(name).is_file() else set()
        else:
            others.add(name.split(".")[0])
    return code, frozenset(ours), frozenset(others)


def _code_and_imports(source: bytes) -> tuple[str, list[str]]:
    """The digest of a source's code, and all names that it imports. Parsing is what takes time, so
    that it is remembered by the source's own digest.
    """
    known, digest = _remembered(), hashlib.sha256(source).hexdigest()
    if digest not in known:
        tree = ast.parse(source)
        names: set[str] = set()
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                names |= {alias.name for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
            else:
                _strip_docstring(node)
        code = hashlib.sha256(ast.dump(tree).encode()).hexdigest()
        known[digest] = (code, sorted(names))
    return known[digest]


@cache
def _remembered() -> dict[str, tuple[str, list[str]]]:
    """What earlier processes parsed: the code's digest and the imports, by the source's digest."""
    try:
        raw = json.loads(_memory().read_text(encoding="utf-8"))
        return {key: (str(code), list(map(str, names))) for key, (code, names) in raw.items()}
    except (OSError, ValueError, TypeError, AttributeError, RuntimeError):
        # Not there, not ours, or a user without a home.
        return {}


def _memory() -> Path:
    """The file of that. `ast` may dump the same source otherwise in another Python, and this file
    otherwise after an edit."""
    python = ".".join(map(str, sys.version_info[:3]))
    own = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:12]
    return cache_folder() / f"sources-{python}-{own}.json"


def _remember(before: int) -> None:
    """Keeps what was parsed since there were so many; a place that cannot be written is none."""
    known = _remembered()
    if len(known) > before:
        with contextlib.suppress(OSError, RuntimeError):
            _memory().parent.mkdir(parents=True, exist_ok=True)
            write_atomic(_memory(), json.dumps(known))


def _path(module: str) -> Path:
    parts = module.split(".")[1:]
    file = PACKAGE.joinpath(*parts).with_suffix(".py") if parts else PACKAGE / "__init__.py"
    return file if file.is_file() else PACKAGE.joinpath(*parts, "__init__.py")


def _strip_docstring(node: ast.AST) -> None:
    if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
        node.body = [
            part
            for part in node.body
            if not (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant))
        ] or [ast.Pass()]


@cache
def code_key(module: str) -> dict[str, dict[str, str]]:
    """The sources that `module` is made of, and the versions of the libraries that it uses."""
    seen: dict[str, str] = {}
    libraries: set[str] = set()
    waiting = [module]
    before = len(_remembered())
    while waiting:
        name = waiting.pop()
        if name in seen or (name.startswith(NO_EFFECT) and name not in COMPUTES):
            continue
        code, ours, others = source_of(name)
        seen[name] = code
        libraries |= others
        waiting += ours
    _remember(before)
    versions = {name: installed_version(name) for name in sorted(libraries & set(COMPUTING))}
    return {"sources": dict(sorted(seen.items())), "versions": versions}


def installed_version(library: str) -> str:
    """The version of an installed library by its import name, or "missing"."""
    try:
        return version(DISTRIBUTIONS.get(library, library))
    except PackageNotFoundError:
        return "missing"


def all_versions() -> dict[str, str]:
    """Versions of Python, edgekd and every library that computes."""
    libraries = {DISTRIBUTIONS.get(name, name): installed_version(name) for name in COMPUTING}
    return {
        "python": platform.python_version(),
        "edgekd": installed_version("edgekd"),
        **libraries,
    }
