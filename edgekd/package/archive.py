"""Archives whose bytes hang on their content alone: fixed dates, owners, modes and order."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from collections.abc import Mapping

EARLIEST = (1980, 1, 1, 0, 0, 0)
"""The first date that a ZIP archive can tell."""
FILE_MODE = 0o644
UNIX, REGULAR = 3, 0o100000


def zip_bytes(files: Mapping[str, bytes], stored: frozenset[str] = frozenset()) -> bytes:
    """A ZIP archive of `files`, in their order.

    Args:
        stored: those that are not compressed.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name, EARLIEST)
            entry.create_system = UNIX
            entry.external_attr = (REGULAR | FILE_MODE) << 16
            entry.compress_type = zipfile.ZIP_STORED if name in stored else zipfile.ZIP_DEFLATED
            archive.writestr(entry, content, compresslevel=9)
    return buffer.getvalue()


def tar_gz_bytes(files: Mapping[str, bytes]) -> bytes:
    """A gzip-compressed tar archive of `files`, in their order."""
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), FILE_MODE
            archive.addfile(entry, io.BytesIO(content))
    return gzip.compress(tarred.getvalue(), 9, mtime=0)
