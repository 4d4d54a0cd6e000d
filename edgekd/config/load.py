"""Reading pipeline and device files: safe YAML, overrides, and errors that show the line."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from edgekd.config.device import DeviceSettings
from edgekd.config.pipeline import Pipeline, expand
from edgekd.errors import ConfigError

M = TypeVar("M", bound=BaseModel)
Location = tuple[str | int, ...]

HELP = {
    "Pipeline": "`edgekd schema pipeline` lists every field with its default",
    "SweepSettings": "`edgekd schema search` lists every field with its default",
}
"""Where the fields of a file are told."""
PACKAGE = Path(__file__).resolve().parents[1]
MOST_DEPTH = 500
"""Brackets that are open at once; Python's own bound lets the parser go on for some 300."""
MOST_NODES = 100_000
"""Values of a file, with those that aliases repeat."""


def shipped(folder: str) -> dict[str, Path]:
    """Files that come with edgekd by name; `folder` is "pipelines" or "devices".

    In a checkout they lie beside the package, in an installed wheel inside it.
    """
    for place in (PACKAGE / "shipped" / folder, PACKAGE.parent / folder):
        found = {path.stem: path for path in sorted(place.glob("*.yaml"))}
        if found:
            return found
    return {}


def own_devices(base: Path | None = None) -> dict[str, Path]:
    """A project's device files by name: those of the folder `devices`, which starts at `base`."""
    return {path.stem: path for path in sorted((base or Path()).glob("devices/*.yaml"))}


def find(name: str | Path, folder: str, base: Path | None = None) -> Path:
    """The file that `name` means: a path, or the name of a shipped file.

    Args:
        base: where a relative path starts; the current folder if left out.

    Raises:
        ConfigError: there is no such file.
    """
    path = Path(name) if base is None else base / name
    if path.is_file():
        return path
    known = shipped(folder)
    if str(name) in known:
        return known[str(name)]
    near = difflib.get_close_matches(path.stem, known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"shipped are: {', '.join(known)}"
    raise ConfigError(f"There is no file {name}.", where=str(path.absolute()), fix=hint)


def load_pipeline(source: str | Path, overrides: Sequence[str] = ()) -> tuple[Pipeline, Path]:
    """The pipeline of a file (path or shipped name) and the folder that its paths start from.

    Args:
        overrides: "key.path=value" each, the value in YAML, applied over the file.

    Raises:
        ConfigError: with the file, the line and the field of each mistake.
    """
    path = find(source, "pipelines")
    raw, lines = read_yaml(path)
    return validate(Pipeline, overridden(raw, overrides), path, lines), path.absolute().parent


def overridden(raw: dict[str, Any], overrides: Sequence[str]) -> dict[str, Any]:
    """A pipeline as read from YAML, with every short form written out and overrides applied in
    their order; `raw` may change.

    Raises:
        ConfigError: an override is no KEY=VALUE, or leads to no field.
    """
    raw = expand(raw)
    for override in overrides:
        apply_override(raw, override)
        raw = expand(raw)  # a short form may get fields by the next one
    return raw


def load_device(source: str | Path, base: Path | None = None) -> DeviceSettings:
    """The device profile of a file: its path, its name in the folder `devices`, or a shipped one's.

    Args:
        base: where a relative path and `devices` start; the current folder if left out.

    Raises:
        ConfigError: with the file, the line and the field of each mistake.
    """
    own = own_devices(base)
    path = own[str(source)] if str(source) in own else find(source, "devices", base)
    raw, lines = read_yaml(path)
    found = validate(DeviceSettings, raw, path, lines)
    located: dict[str, Any] = {}
    if found.ssh_config is not None:
        located["ssh_config"] = (path.parent / found.ssh_config).absolute()
    if found.benchmark_model is not None and "://" not in found.benchmark_model:
        located["benchmark_model"] = str((path.parent / found.benchmark_model).absolute())
    return found.model_copy(update=located)


def read_yaml(path: Path) -> tuple[dict[str, Any], dict[Location, int]]:
    """A YAML mapping as plain Python, and the 1-based line of each field.

    Raises:
        ConfigError: the file is no YAML, holds a key twice, nests too deep or without end, or is
            not a mapping.
    """
    try:
        text = path.read_text(encoding="utf-8")
        _check_depth(text)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        _check_size(node, path)
        raw = yaml.safe_load(text)
    except (OSError, RecursionError) as error:
        why = getattr(error, "strerror", None) or "it nests too deep"
        raise ConfigError("This file cannot be read.", where=f"{path}: {why}") from error
    except (yaml.YAMLError, ValueError, TypeError) as error:  # SafeLoader's own, of dates and such
        mark = getattr(error, "problem_mark", None)
        where = f"{path}, line {mark.line + 1}" if mark else str(path)
        problem = getattr(error, "problem", None) or str(error)
        raise ConfigError(f"This file is not YAML: {problem}.", where=where) from error
    if not isinstance(raw, dict) or not isinstance(node, yaml.MappingNode):
        raise ConfigError(
            "This file has no fields.",
            where=str(path),
            fix="a pipeline file starts with `edgekd init`",
        )
    lines: dict[Location, int] = {}
    _collect_lines(node, (), lines, path)
    return raw, lines


def _check_depth(text: str) -> None:
    """Looks for brackets in brackets first: the parser's time grows with the square of their depth.

    Raises:
        RecursionError: they are too many.
    """
    depth = 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if depth > MOST_DEPTH:
            raise RecursionError


def _check_size(node: yaml.Node | None, path: Path) -> None:
    """Aliases of aliases make a small file endless: each is counted as often as it stands for."""
    ahead, count = [node], 0
    while ahead:
        count += 1
        if count > MOST_NODES:
            raise ConfigError(
                "This file stands for too much: its aliases (*) repeat each other.",
                where=str(path),
                fix="write out what they stand for",
            )
        each = ahead.pop()
        if isinstance(each, yaml.MappingNode):
            ahead += [part for pair in each.value for part in pair]
        elif isinstance(each, yaml.SequenceNode):
            ahead += each.value


def _collect_lines(node: yaml.Node, at: Location, lines: dict[Location, int], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            here = (*at, str(key.value))
            if here in lines:
                field = ".".join(map(str, here))
                where = f"{path}, line {key.start_mark.line + 1}, field {field}"
                raise ConfigError("This field is given twice.", where=where, fix="remove one")
            lines[here] = key.start_mark.line + 1
            _collect_lines(value, here, lines, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[(*at, index)] = value.start_mark.line + 1
            _collect_lines(value, (*at, index), lines, path)


def apply_override(raw: dict[str, Any], override: str) -> None:
    """Sets "key.path=value" in `raw`; the value is YAML. Mappings on the way are made.

    Raises:
        ConfigError: the override has no "=", or walks through something that has no fields.
    """
    key, equals, text = override.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {override} is not key=value.", fix="--set distill.train.epochs=5")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise ConfigError(f"The value of --set {override} is not YAML.") from error
    *parents, last = key.strip().split(".")
    node: Any = raw
    for depth, parent in enumerate(parents):
        if isinstance(node, list) and parent.isdigit() and int(parent) < len(node):
            node = node[int(parent)]
        elif isinstance(node, dict):
            if node.get(parent) is None or isinstance(node.get(parent), bool):
                node[parent] = {}
            node = node[parent]
        else:
            raise ConfigError(
                f"--set {override}: {'.'.join(parents[:depth])} has no fields to set."
            )
    if isinstance(node, list) and last.isdigit() and int(last) < len(node):
        node[int(last)] = value
    elif isinstance(node, dict):
        node[last] = value
    else:
        raise ConfigError(f"--set {override}: {'.'.join(parents)} has no fields to set.")


def validate(
    model: type[M], raw: Any, path: Path | None = None, lines: dict[Location, int] | None = None
) -> M:
    """`raw` as `model`.

    Raises:
        ConfigError: names each wrong field with its line, and the nearest known name.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        problems = [_explain(model, detail, lines or {}) for detail in error.errors()]
        count = "A field is" if len(problems) == 1 else f"{len(problems)} fields are"
        where = str(path) if path else model.__name__
        raise ConfigError(
            f"{count} wrong in {where}:\n" + "\n".join(f"  {p}" for p in problems),
            fix=HELP.get(model.__name__, ""),
        ) from error


def _explain(model: type[BaseModel], detail: Any, lines: dict[Location, int]) -> str:
    field, known = _locate(model, detail["loc"])
    name = ".".join(map(str, field)) or "the file"
    line = next((lines[field[:n]] for n in range(len(field), 0, -1) if field[:n] in lines), None)
    place = f"line {line}, {name}" if line else name
    if detail["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(field[-1]), known, n=1)
        hint = f"did you mean {near[0]}?" if near else f"known are: {', '.join(known)}"
        return f"{place}: there is no such field; {hint}"
    message = detail["msg"].removeprefix("Value error, ")
    message = message.replace("Input should be", "it should be")
    given = detail.get("input")
    shown = f" (it is {given!r})" if isinstance(given, str | int | float) else ""
    if detail["type"] == "literal_error" and isinstance(given, str):
        near = difflib.get_close_matches(given, _choices(detail), n=1)
        shown += f"; did you mean {near[0]}?" if near else ""
    return f"{place}: {message}{shown}"


def _choices(detail: Any) -> Iterable[str]:
    expected = str(detail.get("ctx", {}).get("expected", ""))
    return [choice.strip(" '") for choice in expected.replace(" or ", ",").split(",")]


def _locate(model: type[BaseModel], loc: Location) -> tuple[Location, list[str]]:
    """The field's path without pydantic's union tags, and the names known at its parent."""
    path: list[str | int] = []
    current: list[type[BaseModel]] = [model]
    known: list[str] = sorted(model.model_fields)
    for item in loc:
        fields = {name: field for m in current for name, field in m.model_fields.items()}
        if item in ("<one>", "<several>"):  # which form a field has
            continue
        if isinstance(item, str) and current and item not in fields and path:
            tagged = [m for m in current if _has_tag(m, item)]
            if tagged:  # the discriminator's value, which stands in no file
                current, known = tagged, sorted(tagged[0].model_fields)
                continue
        if isinstance(item, str) and item in fields:
            known = sorted(fields)
            current = models_in(fields[item].annotation)
            path.append(item)
        elif isinstance(item, int) or current:
            known = sorted(fields) or known
            path.append(item)
            current = current if isinstance(item, int) else []
    return tuple(path), known


def _has_tag(model: type[BaseModel], tag: str) -> bool:
    return any(field.default == tag for field in model.model_fields.values())


def models_in(annotation: Any) -> list[type[BaseModel]]:
    """The settings models that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in models_in(part)]
