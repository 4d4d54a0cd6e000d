"""From a run to a version in a registry."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from edgekd.package.naming import check_version
from edgekd.registry.entry import entry_of, gather_named
from edgekd.registry.names import following
from edgekd.registry.stores import Registry
from edgekd.results import Summary


@dataclass(frozen=True)
class Promoted:
    """A version that was added."""

    name: str
    version: str


def promote(
    run: Path,
    summary: Summary,
    registry: Registry,
    *,
    name: str | None = None,
    version: str | None = None,
    key: Path | None = None,
) -> Promoted:
    """Adds the model of a run to a registry.

    Args:
        run: the run folder.
        summary: of its latest run.
        name: that of its bundles if left out, such as digits-classifier.
        version: MAJOR.MINOR.PATCH; if left out, the next patch after the newest one, or 0.1.0.
        key: signs the manifest, see `edgekd.package.signature.sign`.

    Raises:
        ConfigError: the version is there already, or name or version are none.
        StageError: the run has no exported model.
        EdgekdError: it cannot be signed, or the registry not be written.
    """
    model = gather_named(run, summary, name)
    name = model.names.artefact
    version = following(registry.versions(name)) if version is None else check_version(version)
    registry.put(name, version, entry_of(run, replace(model, version=version), key))
    return Promoted(name, version)
