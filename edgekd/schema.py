"""JSON Schemas of what edgekd reads and writes."""

from __future__ import annotations

import json

from pydantic import BaseModel

from edgekd.bench.result import BenchResult
from edgekd.bench.submission import Submission
from edgekd.config.device import DeviceSettings
from edgekd.config.pipeline import SHORT_FORMS, Pipeline
from edgekd.config.sweep import SweepSettings
from edgekd.results import Summary

MODELS: dict[str, type[BaseModel]] = {
    "pipeline": Pipeline,
    "search": SweepSettings,
    "device": DeviceSettings,
    "result": Summary,
    "bench": BenchResult,
    "submission": Submission,
}


def schema_text(of: str) -> str:
    """The JSON Schema (draft 2020-12) of one of `MODELS`, with every default."""
    mode = "serialization" if of in ("result", "bench") else "validation"
    schema = MODELS[of].model_json_schema(mode=mode)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    if of == "pipeline":
        _allow_short_forms(schema)
    return json.dumps(schema, indent=1) + "\n"


def _allow_short_forms(schema: dict) -> None:
    """A text may stand for the mappings of `SHORT_FORMS`, a file's name for `data`."""
    for path in ("data", "bench", *SHORT_FORMS):
        owner = schema
        *parents, last = path.split(".")
        for parent in parents:
            owner = _definition(schema, owner["properties"][parent])
        field = owner["properties"][last]
        if not any(choice.get("type") == "string" for choice in field.get("anyOf", [])):
            kept = {k: field.pop(k) for k in list(field) if k not in ("default", "description")}
            field["anyOf"] = [{"type": "string"}, *(kept.pop("anyOf", [kept]))]
    for name in ("finetune", "prune"):
        schema["properties"][name]["anyOf"].append({"type": "boolean"})


def _definition(schema: dict, field: dict) -> dict:
    for choice in (field, *field.get("anyOf", [])):
        if "$ref" in choice:
            return schema["$defs"][choice["$ref"].rpartition("/")[2]]
    raise KeyError("a short form stands for something that is no mapping")
