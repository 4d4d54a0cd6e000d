"""From a version in a registry to a folder, checked on the way."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from edgekd.errors import ConfigError, EdgekdError
from edgekd.package.manifest import MANIFEST
from edgekd.package.signature import SIGNATURE
from edgekd.package.verify import (
    AGAIN,
    Manifest,
    Verified,
    check_signed,
    fault_of,
    read_manifest,
    refuse,
)
from edgekd.registry.names import LATEST, in_order, parse
from edgekd.registry.stores import Registry


@dataclass(frozen=True)
class Pulled:
    """A version that was fetched."""

    folder: Path
    verified: Verified


def pull(
    reference: str, registry: Registry, *, out: Path | None = None, signer: Path | None = None
) -> Pulled:
    """Fetches NAME@VERSION or NAME@latest.

    Only the files that the manifest has are fetched, and all are compared with it before any lies
    in its place. With a signer, the manifest is checked first.

    Args:
        out: NAME-VERSION in the current folder if left out.
        signer: a public key or a file of allowed signers.

    Raises:
        ConfigError: there is no such version, or `out` exists.
        EdgekdError: the signature does not hold, files are not what the manifest says, it is that
            of another model or version, or a place cannot be read or written.
    """
    name, version = parse(reference)
    if version == LATEST:
        version = _latest(registry, name)
    where = f"{name}@{version} of {registry.place}"
    out = Path(f"{name}-{version}") if out is None else out
    if out.exists() or out.is_symlink():
        raise ConfigError("There is something already.", where=str(out), fix="give another --out")
    content = registry.read(name, version, MANIFEST)
    if content is None:
        raise _unknown(registry, name, version)
    signature = registry.read(name, version, SIGNATURE)
    signed = None if signer is None else check_signed(content, signature, signer, where)
    manifest = read_manifest(content, where)
    if (manifest.name, manifest.version) != (name, version):
        raise EdgekdError(
            f"What is kept as {name} {version} is {manifest.name} {manifest.version}.",
            where=where,
            fix=AGAIN,
        )
    files = _fetched(registry, manifest, where)
    files[MANIFEST] = content
    if signature is not None:
        files[SIGNATURE] = signature
    _write(files, out)
    return Pulled(out, Verified(manifest, signed))


def _latest(registry: Registry, name: str) -> str:
    versions = in_order(registry.versions(name))
    if not versions:
        raise _unknown(registry, name, LATEST)
    return versions[-1]


def _unknown(registry: Registry, name: str, version: str) -> ConfigError:
    there = in_order(registry.versions(name))[-5:]
    return ConfigError(
        f"The registry has no {name} {version}.",
        where=registry.place,
        fix=f"take one of {', '.join(there)}" if there else "edgekd promote RUN --to REGISTRY",
    )


def _fetched(registry: Registry, manifest: Manifest, where: str) -> dict[str, bytes]:
    """The content of every file of the manifest, each as it says."""
    files, faults = {}, []
    for path in manifest.files:
        content = registry.read(manifest.name, manifest.version, path)
        fault = fault_of(path, content, manifest)
        if fault is not None:
            faults.append(fault)
        elif content is not None:
            files[path] = content
    refuse(faults, where)
    return files


def _write(files: dict[str, bytes], out: Path) -> None:
    """Writes the folder beside and renames it."""
    parent = out.absolute().parent
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".pulling-", dir=parent) as beside:
            made = Path(beside) / out.name
            for path, content in files.items():
                file = made / path
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(content)
            os.replace(made, out)
    except OSError as error:
        raise EdgekdError("The files cannot be written.", where=f"{out}: {error}") from error
