"""The search space: fields that are checked before anything runs, and settings as overrides."""

from __future__ import annotations

import copy
import difflib
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from edgekd.config.load import models_in, overridden, read_yaml
from edgekd.config.pipeline import Pipeline
from edgekd.config.sweep import FloatRange, IntRange, SweepSettings
from edgekd.errors import ConfigError
from edgekd.store import canonical_json

Setting = Mapping[str, Any]
"""A value for each field of the space; of a list, the value's JSON text."""
FIXED = {
    "name": "the run folder is the sweep's",
    "seed": "`seeds` of the search file repeats the points of the front",
    "seeds": "`seeds` of the search file repeats the points of the front",
    "control": "it changes nothing of the student: set it in the pipeline file",
    "bench": "it is how the objectives are measured",
    "budget": "it changes nothing of the student: use `limits` of the search file",
    "quality": "it changes nothing of the student",
    "package": "it changes nothing of the student",
}
"""Fields that no trial may change, and why."""
WITHIN_DATA = "data.augment"
"""The only part of the data that may vary."""
MOST_LISTED = 10_000
"""A space of up to so many settings is gone through to its end."""


def check_space(
    sweep: SweepSettings, pipeline: Pipeline, source: Path, overrides: Sequence[str] = ()
) -> None:
    """Refuses fields and values that the pipeline does not take.

    Args:
        source: the pipeline's file.
        overrides: over it.

    Raises:
        ConfigError: names the field, and the nearest one that there is.
    """
    raw, _ = read_yaml(source)
    for field, dimension in sweep.space.items():
        _check_field(field, pipeline, sweep)
        for value in _examples(dimension):
            own = (*overrides, f"{field}={json.dumps(value)}")
            _check_value(field, value, copy.deepcopy(raw), own, alone=len(sweep.space) == 1)


def _check_field(field: str, pipeline: Pipeline, sweep: SweepSettings) -> None:
    first = field.partition(".")[0]
    why = FIXED.get(first)
    if first == "data" and not f"{field}.".startswith(f"{WITHIN_DATA}."):
        why = "trials would be judged on other samples; data.augment may vary"
    if field.startswith(("student.search", "student.objective")):
        why = "the sweep is the search: name student.model.name and student.model.width"
    if why is not None:
        raise ConfigError(f"space: {field} cannot vary.", fix=why)
    current: list[Any] = [pipeline]
    path = field.split(".")
    for depth, name in enumerate(path):
        known = sorted({name for each in current for name in _names(each)})
        if not current or known == ["*"]:
            return  # inside of something free, such as a factory's arguments
        if name not in known:
            varied = any(other != field and field.startswith(f"{other}.") for other in sweep.space)
            if varied:  # of a method that another line of the space may choose
                return
            near = difflib.get_close_matches(name, known, n=1)
            place = ".".join(path[:depth]) or "the pipeline"
            hint = f"did you mean {'.'.join([*path[:depth], near[0]])}?" if near else ""
            raise ConfigError(
                f"space: there is no field {field}.",
                where=f"{place} has no field {name}",
                fix=hint or f"known are: {', '.join(known)}",
            )
        current = [one for each in current for one in _below(each, name)]


def _names(value: Any) -> list[str]:
    if isinstance(value, BaseModel):
        return list(type(value).model_fields)
    if isinstance(value, type):
        return list(value.model_fields)
    if isinstance(value, list | tuple):
        return [str(place) for place in range(len(value))]
    return ["*"] if isinstance(value, dict) else []


def _below(value: Any, name: str) -> list[Any]:
    """What a field holds; where nothing is set, what it may hold."""
    if isinstance(value, list | tuple):
        return [value[int(name)]]
    model = value if isinstance(value, type) else type(value)
    held = None if isinstance(value, type) else getattr(value, name)
    if isinstance(held, BaseModel | dict | tuple) and held != ():
        return [held]
    return list(models_in(model.model_fields[name].annotation))


def _examples(dimension: Any) -> list[Any]:
    if isinstance(dimension, IntRange):
        return list(dimension.int)
    return list(dimension.float) if isinstance(dimension, FloatRange) else list(dimension)


def _check_value(
    field: str, value: Any, raw: dict[str, Any], overrides: Sequence[str], *, alone: bool
) -> None:
    """A value that is wrong whatever the others are is refused; one that does not go with the
    file's other fields may go with those of another trial, and is left to it.
    """
    try:
        Pipeline.model_validate(overridden(raw, overrides))
    except ValidationError as error:
        own = [d for d in error.errors() if d["loc"] or alone]
        if own:
            message = own[0]["msg"].removeprefix("Value error, ")
            raise ConfigError(
                f"space: {field} cannot be {json.dumps(value)}.", where=message
            ) from error
    except ConfigError:
        if alone:
            raise


def overrides_of(setting: Setting, sweep: SweepSettings) -> list[str]:
    """A setting as overrides of the pipeline file, outer fields before those inside them."""
    fields = sorted(setting, key=lambda field: (field.count("."), list(sweep.space).index(field)))
    return [f"{field}={json.dumps(plain(setting[field]))}" for field in fields]


def plain(value: Any) -> Any:
    """A value as the pipeline file has it: those of a list are kept as JSON."""
    return json.loads(value) if isinstance(value, str) else value


def distributions(sweep: SweepSettings) -> dict[str, Any]:
    """Optuna's form of the space."""
    from optuna import distributions as of

    found: dict[str, Any] = {}
    for field, dimension in sweep.space.items():
        if isinstance(dimension, IntRange):
            found[field] = of.IntDistribution(*dimension.int, log=dimension.log)
        elif isinstance(dimension, FloatRange):
            found[field] = of.FloatDistribution(*dimension.float, log=dimension.log)
        else:
            found[field] = of.CategoricalDistribution([canonical_json(one) for one in dimension])
    return found


def size_of(sweep: SweepSettings) -> int | None:
    """How many settings there are; None where a field is a real number."""
    total = 1
    for dimension in sweep.space.values():
        if isinstance(dimension, FloatRange):
            return None
        total *= (
            dimension.int[1] - dimension.int[0] + 1
            if isinstance(dimension, IntRange)
            else len(dimension)
        )
    return total


def every_setting(sweep: SweepSettings) -> Iterator[dict[str, Any]]:
    """All settings of a space without real numbers."""
    axes = [
        range(d.int[0], d.int[1] + 1)
        if isinstance(d, IntRange)
        else [canonical_json(one) for one in d]
        for d in sweep.space.values()
        if not isinstance(d, FloatRange)
    ]
    for values in itertools.product(*axes):
        yield dict(zip(sweep.space, values, strict=True))


def load_search(path: Path) -> SweepSettings:
    """The search file.

    Raises:
        ConfigError: it is missing, or a field is wrong: with the line and the nearest name.
    """
    from edgekd.config.load import validate

    if not path.is_file():
        raise ConfigError(f"There is no search file {path}.", where=str(path.absolute()))
    raw, lines = read_yaml(path)
    return validate(SweepSettings, raw, path, lines)


def encoded(setting: Mapping[str, Any], sweep: SweepSettings) -> dict[str, Any]:
    """A setting of plain values as it is kept: those of a list as JSON."""
    return {
        field: canonical_json(value) if isinstance(sweep.space[field], list) else value
        for field, value in setting.items()
    }
