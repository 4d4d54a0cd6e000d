"""Samples of a .tar shard, in one pass and without unpacking it.

The format is WebDataset's (Aizman, Maltby and Breuel 2019): a member's name up to the first dot
after the last slash names its sample, and the rest is its ending. The library of that name is not
used: it gives addresses to a shell, and has members such as .pth and .pyd unpickled.
"""

from __future__ import annotations

import tarfile
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from edgekd.data.forward import MOST, Forward
from edgekd.errors import DataError

PICKLES = ("pyd", "pickle", "pkl", "pth", "pt", "joblib", "dill")
"""Endings of members that hold Python objects."""
ZEROS = bytes(tarfile.BLOCKSIZE)
"""What a .tar file ends with."""
BROKEN = (tarfile.TarError, ValueError, OSError, EOFError, OverflowError, RecursionError)


@dataclass(frozen=True)
class Members:
    """One sample's members."""

    key: str
    """What names the sample in its shard, with its folder."""
    content: dict[str, bytes]
    """By ending, in lower case and without its first dot."""
    passed: tuple[str, ...] = ()
    """Endings of members that nobody asked for."""


def read_samples(file: Forward, shard: str, wanted: Collection[str]) -> Iterator[Members]:
    """All samples in their order; one is held at a time.

    Args:
        shard: its name, for errors.
        wanted: last parts of the endings that are read, such as "jpg"; others are passed over.

    Raises:
        DataError: the shard is damaged or not whole, or a member is not what it should be.
    """
    key, content, passed = "", {}, []
    for member in _members(file, shard):
        name, ending = _split(member, shard)
        if name != key and (content or passed):
            yield Members(key, content, tuple(passed))
            content, passed = {}, []
        key = name
        if ending.rpartition(".")[2] not in wanted:
            passed.append(ending)
        elif ending in content:
            raise DataError(f"A sample has two .{ending} members.", where=f"{shard}, sample {name}")
        else:
            content[ending] = _content(file, member, shard, name)
    if content or passed:
        yield Members(key, content, tuple(passed))


def _members(file: Forward, shard: str) -> Iterator[tarfile.TarInfo]:
    """The members but folders and hidden files. tarfile takes a header that is damaged or cut off
    for the end.
    """
    last = "its start"
    try:
        with tarfile.open(fileobj=file, mode="r:") as archive:  # type: ignore[call-overload]
            while (member := archive.next()) is not None:
                archive.members = []  # it would keep all of them
                if not (member.isdir() or member.name.rpartition("/")[2].startswith(".")):
                    yield member
                last = member.name
    except BROKEN as error:
        raise _damaged(shard, last, str(error)) from error
    if file.last != ZEROS:
        raise _damaged(shard, last, "it ends without the mark of its end")


def _content(file: Forward, member: tarfile.TarInfo, shard: str, key: str) -> bytes:
    """A member's content.

    Raises:
        DataError: it is too large, or the shard ends in it.
    """
    if member.size > MOST:
        raise DataError(
            f"A member takes {member.size / 1e6:,.0f} MB; {MOST >> 20} MB are read at most.",
            where=f"{shard}, sample {key}, {member.name}",
            fix="a member is one picture or array",
        )
    try:
        file.seek(member.offset_data)
        content = file.read(member.size)
    except (ValueError, OSError) as error:
        raise _damaged(shard, member.name, str(error)) from error
    if len(content) < member.size:
        raise _damaged(shard, member.name, f"it ends in sample {key}")
    return content


def _split(member: tarfile.TarInfo, shard: str) -> tuple[str, str]:
    """A member's sample and ending.

    Raises:
        DataError: it is no plain file, leads outside, or holds Python objects.
    """
    folder, slash, name = member.name.rpartition("/")
    stem, _, ending = name.partition(".")
    ending = ending.lower()
    if member.name.startswith("/") or ".." in folder.split("/") or "\\" in member.name:
        problem, fix = "leads outside of the shard", "make the shard again with plain names"
    elif not member.isreg() or member.issparse():
        problem, fix = "is no plain file", "make the shard again from plain files"
    elif ending.rpartition(".")[2] in PICKLES:
        problem = "holds Python objects, a pickle: reading one can run any program"
        fix = "store arrays as .npy (numpy.save) and targets as .cls or .json"
    else:
        return folder + slash + stem, ending
    raise DataError(
        f"A member of this shard {problem}, so edgekd does not read it.",
        where=f"{shard}, {member.name!r}",
        fix=fix,
    )


def _damaged(shard: str, last: str, problem: str) -> DataError:
    return DataError(
        f"This shard is damaged or not whole: {problem}.",
        where=f"{shard}, at or after {last}",
        fix="copy it again, or leave it out of the folder",
    )
