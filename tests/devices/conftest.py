"""An arm64 Debian, made once."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from edgekd.devices import arm64_root, counter


@pytest.fixture(scope="session")
def arm64() -> Path:
    """The root, in the user's cache, where it is kept for the next session."""
    missing = [tool for tool in arm64_root.TOOLS if shutil.which(tool) is None]
    if missing or os.geteuid() != 0:
        pytest.skip(f"needs root and {', '.join(arm64_root.TOOLS)}, which .ci/run installs")
    return arm64_root.create("arm64-emulator")


@pytest.fixture
def counting() -> None:
    """Skips without what counts instructions."""
    missing = [package for tool, package in counter.PACKAGES.items() if shutil.which(tool) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)}, which .ci/run installs")
