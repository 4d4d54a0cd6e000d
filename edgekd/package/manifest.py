"""`manifest.json`: what is in a bundle, byte by byte, where it comes from and what it is worth."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from edgekd.package.deployable import Deployable, DeployedFile

FORMAT_VERSION = 1
MANIFEST, CARD = "manifest.json", "MODEL_CARD.md"


def manifest_of(
    model: Deployable, file: DeployedFile, files: Mapping[str, bytes], **more: Any
) -> dict[str, Any]:
    """The content.

    Args:
        files: by their path from the manifest's folder; the manifest itself is not among them.
        more: further fields, such as the target.
    """
    accuracy = file.figures.accuracy
    return {
        "format_version": FORMAT_VERSION,
        "name": model.names.artefact,
        "class": model.names.class_name,
        "version": model.version,
        **more,
        "pipeline": {"name": model.pipeline, "key": model.key, "seed": file.figures.seed},
        "task": file.told.model.task,
        "model": {
            "network": file.told.model.name,
            "format": file.format,
            "precision": file.told.precision,
            "bytes": len(file.content),
            "sha256": file.sha256,
            "parameters": file.figures.parameters,
            "macs": file.figures.macs,
        },
        "accuracy": None if accuracy is None else accuracy.model_dump(mode="json"),
        "latency": [_latency(row) for row in file.bench if row.latency_us is not None],
        "description": file.facts["description"],
        "author": file.facts["author"],
        "license": file.facts["license"],
        "versions": dict(sorted(model.summary.versions.items())),
        "files": {
            path: {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
            for path, content in sorted(files.items())
        },
    }


def _latency(row: Any) -> dict[str, Any]:
    return {
        "device": row.device,
        "runtime": row.runtime,
        "threads": row.threads,
        "p50_us": row.latency_us.p50,
        "p90_us": row.latency_us.p90,
    }


def as_json(value: Any) -> bytes:
    """Of one spelling, for people and for checksums; not a number is refused."""
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()
