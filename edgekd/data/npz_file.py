"""Opening an .npz file that nobody vouches for: no pickles, no bombs, no half files."""

from __future__ import annotations

import math
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from edgekd.errors import DataError

BROKEN = (
    *(zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, TypeError),
    *(SyntaxError, tokenize.TokenError, MemoryError, LookupError, ArithmeticError, struct.error),
)
"""What zipfile and numpy raise on a truncated, altered, encrypted or foreign file: numpy reads an
array's header with Python's own parser."""
LAST_CHARACTER = 0x10FFFF
SAVE_PLAIN = "np.savez('data.npz', x=x, y=y) with arrays of numbers (labels may be strings)"


@dataclass(frozen=True)
class Header:
    """What an array claims to be."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]

    @property
    def nbytes(self) -> int:
        """Memory that the array takes."""
        return math.prod(self.shape) * self.dtype.itemsize


def read_headers(path: Path) -> dict[str, Header]:
    """The arrays of an .npz file by name, without reading their content.

    Raises:
        DataError: there is no such file, or it is not a whole .npz file.
    """
    if not path.is_file():
        raise DataError(
            "There is no such data file.",
            where=str(path),
            fix="a relative data.path starts at data.root, else at the pipeline file's folder",
        )
    with explained(path), zipfile.ZipFile(path) as archive:
        return {
            member.filename.removesuffix(".npy"): _header(archive, member)
            for member in archive.infolist()
            if member.filename.endswith(".npy")
        }


def read_arrays(path: Path, names: Sequence[str]) -> dict[str, NDArray[Any]]:
    """The named arrays, in memory.

    Raises:
        DataError: one of them holds Python objects, claims more than the memory that is free, or
            more than the file holds.
    """
    headers = read_headers(path)
    for name in names:
        if headers[name].dtype.hasobject:
            raise DataError(
                f"Array {name} holds Python objects, which are stored as a pickle: reading one "
                "can run any program, so edgekd never does.",
                where=f"{path}, array {name}",
                fix=f"save it plain: {SAVE_PLAIN}",
            )
    _check_memory(path, {name: headers[name] for name in names})
    with explained(path), np.load(path, allow_pickle=False) as file:
        return {name: _texts_checked(name, file[name]) for name in names}


def read_npy(file: IO[bytes], size: int) -> NDArray[Any]:
    """The array of an .npy file of so many bytes.

    Raises:
        ValueError: it holds no numbers, or claims another size than the file's. Of a foreign file
            it may be any of `BROKEN`.
    """
    header = _parse(file)
    if header.dtype.hasobject:
        raise ValueError("an array holds Python objects, a pickle, which edgekd never reads")
    if header.dtype.kind not in "buif":
        raise ValueError(f"an array holds {header.dtype}, and no numbers")
    if header.nbytes != size - file.tell():
        raise ValueError(f"an array claims {header.nbytes} bytes and has {size - file.tell()}")
    file.seek(0)
    return np.load(file, allow_pickle=False)


def _texts_checked(name: str, array: NDArray[Any]) -> NDArray[Any]:
    """numpy fails in odd ways, and late, on texts with numbers that are no characters."""
    if array.dtype.kind == "U" and array.size:
        codes = np.ascontiguousarray(array).view(f"{array.dtype.str[0]}u4")
        if int(codes.max()) > LAST_CHARACTER:
            raise ValueError(f"array {name} holds what is no text")
    return array


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns what zipfile and numpy raise into a `DataError`."""
    try:
        yield
    except BROKEN as error:
        raise DataError(
            "This is not an .npz file, or not a whole one.",
            where=f"{path}: {error or type(error).__name__}",
            fix=f"copy it again, or save it with {SAVE_PLAIN}",
        ) from error


def _header(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> Header:
    with archive.open(member) as file:
        header = _parse(file)
        if not header.dtype.hasobject and header.nbytes > member.file_size:
            raise ValueError(
                f"{member.filename} claims {header.nbytes} bytes and holds {member.file_size}"
            )
    return header


def _parse(file: IO[bytes]) -> Header:
    version = npy.read_magic(file)
    read = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
    if version not in {(1, 0), (2, 0)}:  # (3, 0) is for names of fields that are not Latin-1
        raise ValueError(f"an array is in format {version}")
    shape, _, dtype = read(file)
    return Header(shape, dtype)


def _check_memory(path: Path, headers: dict[str, Header]) -> None:
    import psutil

    free = int(psutil.virtual_memory().available)
    total = sum(header.nbytes for header in headers.values())
    if total > free:
        largest = max(headers, key=lambda name: headers[name].nbytes)
        raise DataError(
            f"The arrays take {total / 1e9:.1f} GB of memory, and {free / 1e9:.1f} GB are free.",
            where=f"{path}; the largest is {largest}, {headers[largest].shape} "
            f"{headers[largest].dtype}",
            fix="save images as uint8, or take fewer samples",
        )
