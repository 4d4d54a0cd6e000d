"""What a registry keeps of a run: a run folder with nothing in it but the export of its first seed.

summary.json, pipeline.yaml   as in the run; the pipeline with every default written out
MODEL_CARD.md                 see edgekd.package.card
export-KEY/...                the exported files with their specs, and golden samples
manifest.json                 all of them with SHA-256; name, version, figures
manifest.json.sig             its signature, where it was signed
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import yaml

from edgekd.errors import EdgekdError
from edgekd.package.card import card_of
from edgekd.package.deployable import FORMATS, Deployable, gather
from edgekd.package.manifest import CARD, MANIFEST, as_json, manifest_of
from edgekd.package.signature import SIGNATURE, sign
from edgekd.registry.names import check_name
from edgekd.results import Summary

SUMMARY, PIPELINE = "summary.json", "pipeline.yaml"


def gather_named(run: Path, summary: Summary, name: str | None) -> Deployable:
    """What a run has to give, under a name of the registry: by default that of its bundles.

    Raises:
        ConfigError: no registry can have the name.
        StageError: the run has no exported model, or a damaged one.
    """
    model = gather(run, summary, "")
    name = check_name(model.names.artefact if name is None else name, "--name")
    return replace(model, names=replace(model.names, artefact=name))


def entry_of(run: Path, model: Deployable, key: Path | None) -> dict[str, bytes]:
    """The files of an entry by their path, `manifest.json` and its signature last.

    Args:
        key: signs the manifest.

    Raises:
        EdgekdError: a file cannot be read, or the manifest not be signed.
    """
    file = model.file("the registry", FORMATS)
    settings = model.summary.settings
    files = {
        SUMMARY: as_json(model.summary.model_dump(mode="json")),
        PIPELINE: yaml.safe_dump(settings, sort_keys=False, allow_unicode=True).encode(),
        CARD: card_of(model, file).encode(),
    }
    for path in _exported(model):
        try:
            inside = path.resolve().relative_to(run.resolve()).as_posix()
            files[inside] = path.read_bytes()
        except (OSError, ValueError) as error:
            raise EdgekdError(
                "An exported file cannot be read, or is not in the run folder.", where=str(error)
            ) from error
    manifest = as_json(manifest_of(model, file, files))
    files[MANIFEST] = manifest
    if key is not None:
        files[SIGNATURE] = sign(manifest, key)
    return files


def _exported(model: Deployable) -> Iterator[Path]:
    """All files of the export, also those that no bundle takes."""
    for folder in sorted({file.path.parent for file in model.files.values()}):
        yield from (p for p in sorted(folder.rglob("*")) if p.is_file() and not p.is_symlink())
