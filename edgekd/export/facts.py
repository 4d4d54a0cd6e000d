"""What a reader wants to know of an exported file beside how it runs: whose it is, under which
licence, what goes in and what comes out. The same facts as JSON beside each file, in the ONNX file
and, by `edgekd.export.tflite_metadata`, in the TFLite file.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgekd.runtimes.exported import beside
from edgekd.spec import DeployedSpec
from edgekd.store import write_atomic, write_json

KINDS = {
    "classification": "which of {n} classes",
    "binary": "which of two classes",
    "multilabel": "which of {n} labels",
    "regression": "{n} numbers",
}


@dataclass(frozen=True)
class Facts:
    """Whose model it is; empty where nobody said."""

    name: str
    description: str
    author: str = ""
    license: str = ""


def facts_of(told: DeployedSpec, **given: str | None) -> Facts:
    """What was given, and the network's name and its task in words where nothing was.

    Args:
        given: fields of `Facts`.
    """
    spec = told.model
    kind = KINDS[spec.task].format(n=len(spec.labels))
    defaults = {"name": spec.name, "description": spec.description or f"Tells {kind}."}
    return Facts(**defaults | {field: text for field, text in given.items() if text})


def write_facts(path: Path, told: DeployedSpec, facts: Facts) -> Path:
    """Writes FILE.json beside an exported FILE, and returns its path."""
    content = path.read_bytes()
    described = beside(path)
    about = {
        **asdict(facts),
        "file": path.name,
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
        "edgekd": told.model_dump(mode="json"),
    }
    write_json(described, about)
    return described


def add_to_onnx(path: Path, facts: Facts) -> None:
    """Puts the facts into an ONNX file: its description, and an entry of metadata for each."""
    import onnx

    model: Any = onnx.load(str(path))
    model.doc_string = facts.description
    known = {entry.key: entry.value for entry in model.metadata_props}
    said = {field: text for field, text in asdict(facts).items() if text}
    onnx.helper.set_model_props(model, known | said)
    write_atomic(path, model.SerializeToString())
