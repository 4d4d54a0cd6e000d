"""`edgekd clean`: removes artefacts that the latest run did not use."""

from __future__ import annotations

import contextlib
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

from edgekd.nodes import ORDER
from edgekd.results import Summary
from edgekd.store import KEY_LENGTH, MANIFEST, locked

ARTEFACT = re.compile(rf"({'|'.join(ORDER)})-[0-9a-f]{{{KEY_LENGTH}}}")


@dataclass(frozen=True)
class Removed:
    """An artefact that is gone, or would be."""

    name: str
    bytes: int


def clean(folder: Path, summary: Summary, *, dry_run: bool = False) -> list[Removed]:
    """Removes the finished artefacts of a run folder that its summary does not name.

    Anything else stays: other files, links, and what is still being made in `.work`.

    Args:
        folder: runs/NAME.
        summary: of its latest run.
        dry_run: remove nothing, only say what would go.

    Raises:
        EdgekdError: a stage of this folder is being made right now.
    """
    used = {stage.folder for stage in summary.stages}
    used |= {name for row in summary.search for name in row.folders}
    found = []
    with contextlib.ExitStack() as held:
        for lock in sorted((folder / ".work").glob("*.lock")):
            held.enter_context(locked(lock))
        for path in sorted(folder.iterdir()):
            if path.name in used or path.is_symlink() or not ARTEFACT.fullmatch(path.name):
                continue
            if not (path / MANIFEST).is_file():
                continue
            size = sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
            found.append(Removed(path.name, size))
            if not dry_run:
                shutil.rmtree(path)
    return found
