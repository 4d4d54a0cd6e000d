"""The files that every bundle holds, whatever it is packed in."""

from __future__ import annotations

from edgekd.package.card import card_of
from edgekd.package.deployable import Deployable, DeployedFile
from edgekd.package.golden_file import golden_of
from edgekd.package.manifest import CARD, MANIFEST, as_json, manifest_of
from edgekd.package.spec_file import model_name, spec_of

SPEC, GOLDEN, LABELS = "spec.json", "golden.json", "labels.txt"


def contents(model: Deployable, file: DeployedFile) -> dict[str, bytes]:
    """By name: the model, `spec.json`, `golden.json`, `labels.txt`, `MODEL_CARD.md`, and
    `manifest.json`, which has the SHA-256 of the others and is checked when a bundle is loaded.

    Raises:
        StageError: see `golden_of`.
    """
    spec = spec_of(file, model.names)
    files = {
        model_name(file): file.content,
        SPEC: as_json(spec),
        GOLDEN: as_json(golden_of(file, spec)),
        LABELS: "".join(f"{' '.join(label.splitlines())}\n" for label in spec["labels"]).encode(),
        CARD: card_of(model, file).encode(),
    }
    return {**files, MANIFEST: as_json(manifest_of(model, file, files))}
