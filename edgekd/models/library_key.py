"""What a network of another library is made of, for cache keys: read, not imported."""

from __future__ import annotations

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError

LIBRARIES = {
    "timm": "timm",
    "torchvision": "torchvision",
    "huggingface": "transformers",
    "keras": "keras",
}
"""What to install for the networks of each name."""
FILES = ("config.json", "preprocessor_config.json", "model.safetensors")


def library_source(settings: ModelSettings, base: Path | None = None) -> dict[str, str]:
    """Version of the library of `settings.name`, and digests of a local folder's files.

    Raises:
        StageError: there is no such folder.
    """
    library, _, name = str(settings.name).partition(":")
    distribution = LIBRARIES[library]
    try:
        found = {distribution: version(distribution)}
    except PackageNotFoundError:
        found = {distribution: "missing"}
    folder = local_folder(name, base) if library == "huggingface" else None
    own = weights_file(settings, base)
    if own is not None:
        with own.open("rb") as stream:
            found["pretrained"] = hashlib.file_digest(stream, "sha256").hexdigest()
    if library == "keras":
        with keras_file(settings, base).open("rb") as stream:
            found["file"] = hashlib.file_digest(stream, "sha256").hexdigest()
    for file in FILES if folder is not None else ():
        assert folder is not None
        if (folder / file).is_file():
            with (folder / file).open("rb") as stream:
                found[file] = hashlib.file_digest(stream, "sha256").hexdigest()
    return found


def weights_file(settings: ModelSettings, base: Path | None) -> Path | None:
    """The file that `pretrained` names; None for the library's own weights, and for fresh ones.

    Raises:
        StageError: there is no such file, or a relative path leads out of `base`.
    """
    if not isinstance(settings.pretrained, str):
        return None
    start, name = (base or Path()).resolve(), settings.pretrained
    full = (start / name).resolve()
    where = f"model {settings.name}: pretrained"
    if not Path(name).is_absolute() and not full.is_relative_to(start):
        raise StageError(
            f"{name} leads out of the pipeline file's folder.",
            where=f"{where}; the folder is {start}",
            fix="move it there, or give its absolute path",
        )
    if not full.is_file():
        raise StageError(f"There is no file {full}.", where=where)
    return full


def keras_file(settings: ModelSettings, base: Path | None) -> Path:
    """The file of "keras:FILE.keras".

    Raises:
        StageError: there is none, it has another suffix, or a relative path leads out of `base`.
    """
    name = str(settings.name).partition(":")[2]
    start = (base or Path()).resolve()
    full = (start / name).resolve()
    where = f"model {settings.name}"
    if not Path(name).is_absolute() and not full.is_relative_to(start):
        raise StageError(
            f"{name} leads out of the pipeline file's folder.",
            where=f"{where}; the folder is {start}",
            fix="move it there, or give its absolute path",
        )
    if full.suffix != ".keras":
        raise StageError(
            "Of Keras, .keras files are read.",
            where=where,
            fix="load it in Keras where you trust it, and save it: model.save('x.keras')",
        )
    if not full.is_file():
        raise StageError(f"There is no file {full}.", where=where)
    return full


def local_folder(name: str, base: Path | None) -> Path | None:
    """The folder that a name such as ./folder means; None for a name of the Hub.

    Raises:
        StageError: it leads out of `base`, or is no folder.
    """
    if not name.startswith(("./", "../", "/")):
        return None
    start = (base or Path()).resolve()
    full = (start / name).resolve()
    if not Path(name).is_absolute() and not full.is_relative_to(start):
        raise StageError(
            f"{name} leads out of the pipeline file's folder.",
            where=f"model huggingface:{name}; the folder is {start}",
            fix="move it there, or give its absolute path",
        )
    if not full.is_dir():
        raise StageError(f"There is no folder {full}.", where=f"model huggingface:{name}")
    return full
