"""A registry in a folder: REGISTRY/NAME/VERSION/..., written beside and renamed when whole."""

from __future__ import annotations

import errno
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from edgekd.errors import EdgekdError
from edgekd.registry.stores import taken
from edgekd.store import write_atomic

TAKEN = {errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR}
"""What a rename says where something is already."""


class FolderRegistry:
    """See the module."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.place = str(folder)

    def versions(self, name: str) -> list[str]:
        """See `Registry.versions`."""
        return [path.name for path in (self.folder / name).glob("[0-9]*") if path.is_dir()]

    def put(self, name: str, version: str, files: Mapping[str, bytes]) -> None:
        """See `Registry.put`. A rename to a folder with files fails, whoever asks: that is what
        lets one writer win."""
        model = self.folder / name
        final = model / version
        if final.exists():
            raise taken(name, version, self.place)
        try:
            model.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryDirectory(prefix=".writing-", dir=model) as beside:
                made = Path(beside) / version
                for path, content in files.items():
                    file = made / path
                    file.parent.mkdir(parents=True, exist_ok=True)
                    write_atomic(file, content)
                os.replace(made, final)
        except OSError as error:
            if error.errno in TAKEN and final.exists():
                raise taken(name, version, self.place) from error
            raise EdgekdError(
                "The registry cannot be written.", where=f"{self.place}: {error}"
            ) from error

    def read(self, name: str, version: str, path: str) -> bytes | None:
        """See `Registry.read`. A link is no file of a registry, wherever it leads."""
        file = self.folder / name
        try:
            for part in (version, *path.split("/")):
                file /= part
                if file.is_symlink():
                    return None
            return file.read_bytes() if file.is_file() else None
        except OSError as error:
            raise EdgekdError("The registry cannot be read.", where=f"{file}: {error}") from error
