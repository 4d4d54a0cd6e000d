"""Where data lies: `--set data.root=...`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from edgekd.config.load import load_pipeline
from edgekd.plan import make_plan


@pytest.fixture
def pipeline(tmp_path: Path) -> Path:
    for place in ("here", "there"):
        (tmp_path / place).mkdir()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)).astype(np.float32), np.arange(40) % 2
    np.savez(tmp_path / "there" / "mine.npz", x=x, y=y)
    file = tmp_path / "here" / "p.yaml"
    file.write_text("name: mine\ndata: {source: npz, path: mine.npz}\nteacher: mlp\nstudent: mlp\n")
    return file


def test_root_starts_at_the_current_folder_and_path_at_root(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, base = load_pipeline(pipeline, ["data.root=there"])
    assert settings.data.location(base) == tmp_path / "there" / "mine.npz"
    plain, base = load_pipeline(pipeline)
    assert plain.data.location(base) == tmp_path / "here" / "mine.npz"
    absolute, base = load_pipeline(pipeline, ["data.path=/x/mine.npz", "data.root=there"])
    assert absolute.data.location(base) == Path("/x/mine.npz")
    monkeypatch.setenv("HOME", str(tmp_path))
    home, base = load_pipeline(pipeline, ["data.root=~/there"])
    assert home.data.location(base) == tmp_path / "there" / "mine.npz"


def test_moved_data_retrains_nothing(
    pipeline: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys = [node.key for node in make_plan(*load_pipeline(pipeline, ["data.root=there"]))]
    (tmp_path / "there").rename(tmp_path / "elsewhere")
    again = [node.key for node in make_plan(*load_pipeline(pipeline, ["data.root=elsewhere"]))]
    assert keys == again
