"""Data that is decoded once and kept in the cache, memory-mapped."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from edgekd.data.dataset import Dataset, load, save
from edgekd.store import cache_folder


def decoded_once(name: str, read: Callable[[Path], Dataset]) -> Dataset:
    """The data set of this name in the cache, memory-mapped; made if it is not there.

    Args:
        name: with the key of all that decides what it holds.
        read: makes it; what it needs on disk goes into the folder that it gets, which is renamed
            when all is there and removed where it fails.
    """
    folder = cache_folder() / name
    if folder.is_dir():
        return load(folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    try:
        save(read(beside), beside)
        try:
            beside.rename(folder)
        except OSError:  # another process was faster
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    return load(folder)
