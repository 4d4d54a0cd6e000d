"""What the sources that are a file or a folder have in common."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.base import Settings


class Located(Settings):
    """A source that is a file or a folder."""

    root: Path | None = None
    """The folder that `path` starts from, for `--set data.root=DIR`; a relative one starts at the
    folder that you run in. Left out, it is the pipeline file's folder."""
    path: Path
    """The file or folder."""

    def location(self, base: Path) -> Path:
        """Where the data is.

        Args:
            base: the pipeline file's folder.
        """
        start = base if self.root is None else Path.cwd() / self.root.expanduser()
        return start / self.path
