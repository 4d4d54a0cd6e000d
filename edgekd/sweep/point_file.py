"""The pipeline file of a point of the front: the user's file with the point's setting, which can be
run from any folder.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from edgekd.config.load import find, overridden, own_devices, read_yaml
from edgekd.config.pipeline import Pipeline
from edgekd.store import write_atomic

HEAD = """\
# Written by `edgekd sweep`: {what}.
#   edgekd run {file} --runs {runs}
# Stages that the sweep has finished are not made again. Paths are absolute.
"""


def write_point_file(
    path: Path, source: str | Path, overrides: Sequence[str], runs: Path, what: str
) -> None:
    """Writes the file.

    Args:
        source: the user's pipeline file.
        overrides: over it, as `--set` has them.
        runs: where run folders lie.
        what: the point in a few words.
    """
    file = find(source, "pipelines")
    raw, _ = read_yaml(file)
    raw = located(overridden(raw, overrides), file.absolute().parent)
    text = yaml.safe_dump(raw, sort_keys=False, allow_unicode=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, HEAD.format(what=what, file=path, runs=runs) + text)


def located(raw: dict[str, Any], base: Path) -> dict[str, Any]:
    """The pipeline with absolute paths in the place of those that start from `base`."""
    fields = _path_fields(Pipeline.model_json_schema())
    devices = own_devices(base)

    def walk(value: Any, field: str) -> Any:
        if isinstance(value, dict):
            return {name: walk(one, name) for name, one in value.items()}
        if isinstance(value, list):
            return [walk(one, field) for one in value]
        return _located(value, field, base, fields, devices) if isinstance(value, str) else value

    return {name: walk(value, name) for name, value in raw.items()}


def _located(value: str, field: str, base: Path, fields: set[str], devices: dict[str, Path]) -> str:
    if field in ("device", "devices"):
        return str(devices[value].absolute()) if value in devices else _absolute(value, base)
    if field in fields or value.endswith((".safetensors", ".keras")):
        return _absolute(value, base)
    kind, colon, rest = value.partition(":")
    if field == "python" and colon and (base / kind).is_file():
        return f"{(base / kind).absolute()}:{rest}"
    if field == "name" and kind == "huggingface" and (base / rest).is_dir():
        return f"{kind}:{(base / rest).absolute()}"
    return value


def _absolute(value: str, base: Path) -> str:
    """A path or `keras:PATH`; a name that is no file stays."""
    kind, colon, rest = value.partition(":")
    if colon and kind == "keras":
        return f"keras:{_absolute(rest, base)}"
    path = base / Path(value).expanduser()
    return str(path.absolute()) if path.exists() else value


def _path_fields(schema: Any) -> set[str]:
    """Names of the fields that hold a path."""
    found: set[str] = set()

    def walk(node: Any, name: str) -> None:
        if isinstance(node, list):
            for one in node:
                walk(one, name)
        elif isinstance(node, dict):
            if node.get("format") == "path":
                found.add(name)
            for key, below in node.items():
                if key in ("properties", "$defs"):
                    for own, one in below.items():
                        walk(one, own)
                elif key in ("anyOf", "oneOf", "items"):
                    walk(below, name)

    walk(schema, "")
    return found
