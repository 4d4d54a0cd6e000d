"""A finished run, and copies of it for faults to happen to."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from tiny_run import run, write_data


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run, which no test changes."""
    folder = tmp_path_factory.mktemp("whole")
    write_data(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run()
    return folder


@pytest.fixture
def project(whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The run folder of a copy of it, which is the current folder."""
    shutil.copytree(whole, tmp_path / "p")
    monkeypatch.chdir(tmp_path / "p")
    return tmp_path / "p" / "runs" / "tiny"
