"""Bundles written beside their place and renamed when whole."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgekd.errors import ConfigError, EdgekdError, StageError
from edgekd.package.card import card_of
from edgekd.package.deployable import Deployable, gather
from edgekd.package.manifest import CARD, MANIFEST, as_json, manifest_of
from edgekd.package.naming import check_version
from edgekd.package.signature import SIGNATURE, sign
from edgekd.package.target import Target, target_of
from edgekd.results import Summary
from edgekd.store import read_json

FIRST_VERSION = "0.1.0"


@dataclass(frozen=True)
class Packaged:
    """A bundle that was written."""

    target: str
    folder: Path
    files: tuple[Path, ...]
    """Everything in the folder, sorted."""


def package(
    run: Path,
    summary: Summary,
    targets: Sequence[str],
    *,
    version: str = FIRST_VERSION,
    out: Path | None = None,
    key: Path | None = None,
) -> list[Packaged]:
    """Writes OUT/TARGET for each target: the bundle, `manifest.json` and `MODEL_CARD.md`.

    Args:
        run: the run folder.
        summary: of its latest run.
        version: MAJOR.MINOR.PATCH.
        out: RUN/package-VERSION if left out.
        key: signs each manifest, see `signature.sign`.

    Raises:
        ConfigError: an unknown target, a version that is none, or the folder is there already.
        StageError: the run has no model to package.
        EdgekdError: it cannot be signed, or not be written; then there is nothing of it.
    """
    check_version(version)
    writers = {name: target_of(name) for name in targets}
    out = out or run / f"package-{version}"
    for name in writers:
        if (out / name).exists():
            raise ConfigError(
                "There is a bundle already, and what was given out is not changed.",
                where=str(out / name),
                fix="take another version or another folder, or remove that one",
            )
    model = gather(run, summary, version)
    _refuse_baked(model)
    try:
        out.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".writing-", dir=out) as beside:
            for name, writer in writers.items():
                _write(model, name, writer, Path(beside) / name, key)
            for name in writers:
                os.replace(Path(beside) / name, out / name)
    except OSError as error:
        raise EdgekdError("A bundle cannot be written.", where=f"{out}: {error}") from error
    return [Packaged(name, out / name, _files(out / name)) for name in writers]


def package_missing(
    run: Path, summary: Summary, targets: Sequence[str], version: str
) -> list[Packaged]:
    """Those of the bundles that the run folder does not have yet of this very model.

    Raises:
        ConfigError: it has one of this version and of another model.
        StageError: see `package`.
    """
    out = run / f"package-{version}"
    keys = [stage.key for stage in summary.stages if stage.name.partition("@")[0] == "export"]
    missing = [name for name in targets if _key_of(out / name / MANIFEST) not in keys[:1]]
    return package(run, summary, missing, version=version, out=out) if missing else []


def _refuse_baked(model: Deployable) -> None:
    for file in model.files.values():
        if file.told.preprocess == "baked":
            raise StageError(
                "The files of this run have their preprocessing baked in, and bundles bring their "
                "own.",
                where=str(file.path),
                fix="edgekd run PIPELINE --set export.preprocess=app",
            )


def _key_of(manifest: Path) -> str | None:
    """The pipeline key in a bundle's manifest."""
    return read_json(manifest)["pipeline"]["key"] if manifest.is_file() else None


def _write(model: Deployable, name: str, target: Target, folder: Path, key: Path | None) -> None:
    folder.mkdir()
    file = target.write(model, folder)
    (folder / CARD).write_text(card_of(model, file), encoding="utf-8")
    made = {path.relative_to(folder).as_posix(): path.read_bytes() for path in _files(folder)}
    manifest = as_json(manifest_of(model, file, made, target=name))
    (folder / MANIFEST).write_bytes(manifest)
    if key is not None:
        (folder / SIGNATURE).write_bytes(sign(manifest, key))


def _files(folder: Path) -> tuple[Path, ...]:
    return tuple(path for path in sorted(folder.rglob("*")) if path.is_file())
