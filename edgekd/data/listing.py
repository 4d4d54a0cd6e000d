"""Which file of a folder belongs to which part and class."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from edgekd.config.data import AudioFolderData, FolderData
from edgekd.data import sound
from edgekd.data.archive import Files
from edgekd.data.checks import some
from edgekd.data.pictures import SUFFIXES as PICTURES
from edgekd.errors import DataError

PARTS = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
    "testing": "test",
}


@dataclass(frozen=True)
class Item:
    """A file that is a sample."""

    name: str
    """Its path below the folder, with slashes."""
    part: str
    """"train", "validation" or "test"; files that nobody assigned are "train"."""
    label: str
    group: str | None = None
    balance: str | None = None


def list_items(files: Files, settings: FolderData) -> tuple[list[Item], list[str]]:
    """The samples in the order of their names, and notes on what was left out.

    Raises:
        DataError: no samples; a file without a class; one class; an empty class; classes that
            differ between the parts.
    """
    items, notes, empty = find_items(files, settings)
    where = str(files.path)
    check_empty(empty, where)
    check_classes(items, where)
    return items, notes


def find_items(files: Files, settings: FolderData) -> tuple[list[Item], list[str], list[str]]:
    """The samples in the order of their names, notes on what was left out, and classes' folders
    that are empty.

    Raises:
        DataError: no samples; a file without a class.
    """
    audio = isinstance(settings, AudioFolderData)
    suffixes = (*sound.WAV, *sound.OTHERS) if audio else PICTURES
    names = [name for name in files.names if name.lower().endswith(suffixes)]
    where = str(files.path)
    if not names:
        raise DataError(
            f"No file in it is a {'recording' if audio else 'picture'}.",
            where=f"{where}: {some(files.names)}",
            fix=f"edgekd reads {', '.join(suffixes)}",
        )
    other = len(files.names) - len(names)
    notes = [f"{other} files that are no samples were left out"] if other else []
    by_name = audio and settings.label is not None
    root = _root(names, 1 if by_name else 2)
    inner = [name[len(root) :].split("/") for name in names]
    parted = all(len(path) > 1 and path[0].lower() in PARTS for path in inner)
    items = [
        _item(name, path, parted, settings, where) for name, path in zip(names, inner, strict=True)
    ]
    return items, notes, [] if by_name else _empty(files, items, root, parted)


def _root(names: Sequence[str], least: int) -> str:
    """The folders above the parts or classes, such as the one that a .zip was made of."""
    root = ""
    while True:
        inner = [name[len(root) :].split("/") for name in names]
        first = {path[0] for path in inner}
        if len(first) > 1 or min(map(len, inner)) <= least or inner[0][0].lower() in PARTS:
            return root
        root += inner[0][0] + "/"


def _item(name: str, path: list[str], parted: bool, settings: FolderData, where: str) -> Item:
    part = PARTS[path[0].lower()] if parted else "train"
    inner = path[1:] if parted else path
    audio = settings if isinstance(settings, AudioFolderData) else None
    if audio and audio.label is not None:
        label = _found(audio.label, path[-1], "label", where)
    elif len(inner) > 1:
        label = inner[0]
    else:
        raise DataError(
            "A file lies in no class's folder.",
            where=f"{where}, {name}",
            fix="put it into a folder named after its class"
            + (", or give data.label, an expression that finds it in the name" if audio else ""),
        )
    if audio is None:
        return Item(name, part, label)
    if audio.test_files and re.search(audio.test_files, name):
        part = "test"
    return Item(
        name,
        part,
        label,
        _found(audio.group, name, "group", where) if audio.group else None,
        _found(audio.balance, name, "balance", where) if audio.balance else None,
    )


def _found(pattern: str, text: str, field: str, where: str) -> str:
    match = re.search(pattern, text)
    if match is None or not match.groups() or match[1] is None:
        raise DataError(
            f"data.{field} finds nothing in a file's name.",
            where=f"{where}, {text}: {pattern}",
            fix="write a regular expression with one group, such as '^([0-9]+)_'",
        )
    return match[1]


def _empty(files: Files, items: list[Item], root: str, parted: bool) -> list[str]:
    depth = 2 if parted else 1
    used = {"/".join(item.name[len(root) :].split("/")[:depth]) for item in items}
    found = []
    for folder in sorted(files.folders):
        inner = folder[len(root) :]
        is_class = folder.startswith(root) and len(inner.split("/")) == depth and inner
        if is_class and inner not in used:
            found.append(folder)
    return found


def check_empty(folders: Sequence[str], where: str) -> None:
    """Refuses empty classes.

    Raises:
        DataError: there are some.
    """
    if folders:
        raise DataError(
            f"The class {folders[0].rpartition('/')[2]!r} is empty.",
            where=f"{where}, {some(folders)}",
            fix="add samples, or remove the folder",
        )


def check_classes(items: Sequence[Item], where: str) -> None:
    """Refuses a single class, and parts of different classes.

    Raises:
        DataError: it is so.
    """
    found = {part: {i.label for i in items if i.part == part} for part in PARTS.values()}
    train = found["train"]
    if not train:
        raise DataError("There are no training samples.", where=where, fix="add a folder train")
    for part in ("validation", "test"):
        if found[part] and found[part] != train:
            extra, absent = sorted(found[part] - train), sorted(train - found[part])
            what = f"{part} has {some(extra)} in addition" if extra else f"{part} has no"
            raise DataError(
                f"The classes differ between the parts: {what}"
                + (f" {some(absent)}." if not extra else "."),
                where=where,
                fix="give every part the same classes",
            )
    if len(train) < 2:
        raise DataError(
            f"There is one class only, {next(iter(train))!r}.",
            where=where,
            fix="a classifier needs samples of at least two classes",
        )
