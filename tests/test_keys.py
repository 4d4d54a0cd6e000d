"""What is in a stage's key: the code that makes the artefact, and no other."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgekd import keys
from edgekd.keys import code_key

FOLDER = Path(keys.__file__).parent / "stages"
STAGES = sorted(
    file.stem
    for file in FOLDER.glob("*.py")
    if "\ndef run(job: Job[" in file.read_text(encoding="utf-8")
)
ABOVE = (
    "edgekd.pipeline",
    "edgekd.plan",
    "edgekd.report",
    "edgekd.summary",
    "edgekd.cli",
    "edgekd.deploy",
)


@pytest.mark.parametrize("stage", STAGES)
def test_an_edit_of_the_report_or_of_the_order_remakes_no_stage(stage):
    sources = code_key(f"edgekd.stages.{stage}")["sources"]
    assert f"edgekd.stages.{stage}" in sources
    assert not [name for name in sources if name.startswith(ABOVE)]


def test_all_stages_are_looked_at():
    assert {"data", "teacher", "distill", "quantize", "export", "bench", "search"} <= set(STAGES)


@pytest.mark.parametrize(
    ("stage", "allowed"),
    [
        ("teacher", {"labels_file"}),
        ("softlabels", {"probe", "softlabels", "toplogits"}),
    ],
)
def test_an_edit_of_a_loss_retrains_no_teacher(stage: str, allowed: set[str]):
    """Nor does it ask it again; of `edgekd.distill`, files and caches of answers are covered."""
    sources = code_key(f"edgekd.stages.{stage}")["sources"]
    used = {name.removeprefix("edgekd.distill.") for name in sources if ".distill." in name}
    assert used == allowed
    assert "edgekd.train.labels" in sources or stage != "teacher"


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A fresh memory of what was parsed, which no process has looked at yet."""

    monkeypatch.setenv("EDGEKD_CACHE", str(tmp_path / "cache"))
    forget()
    yield tmp_path / "cache"
    monkeypatch.undo()
    forget()


def forget() -> None:
    """What this process knows, so that it is as another one."""
    for cached in (keys.source_of, keys.code_key, keys._remembered):
        cached.cache_clear()


def again(stage: str) -> dict[str, dict[str, str]]:
    """The key as another process finds it."""
    forget()
    return code_key(f"edgekd.stages.{stage}")


def test_what_was_parsed_once_is_not_parsed_again(memory: Path, monkeypatch: pytest.MonkeyPatch):
    first = code_key("edgekd.stages.softlabels")
    monkeypatch.setattr(keys, "ast", None)  # whoever parses fails
    assert again("softlabels") == first
    (file,) = memory.glob("sources-*.json")
    assert json.loads(file.read_text())


@pytest.mark.parametrize("broken", ["", "[]", '{"a": 1}', '{"a": ["b"]}', "\x00"])
def test_a_broken_memory_is_none(memory: Path, broken: str):
    first = code_key("edgekd.stages.base")
    (file,) = memory.glob("sources-*.json")
    file.write_text(broken)
    assert again("base") == first


def test_a_place_that_cannot_be_written_is_no_error(memory: Path):
    first = code_key("edgekd.stages.base")
    for file in memory.glob("*"):
        file.unlink()
    memory.rmdir()
    memory.write_text("a file where the folder would be")
    assert again("base") == first


def test_a_user_without_a_home_has_no_memory(memory: Path, monkeypatch: pytest.MonkeyPatch):
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")  # as Path.home()

    first = code_key("edgekd.stages.base")
    monkeypatch.setattr(keys, "cache_folder", nowhere)
    assert again("base") == first


def test_an_edited_source_has_another_key_and_a_comment_has_not(memory: Path, monkeypatch):
    first = code_key("edgekd.stages.check")
    file = memory / "check.py"
    text = (FOLDER / "check.py").read_text(encoding="utf-8")
    real, mine = keys._path, "edgekd.stages.check"
    monkeypatch.setattr(keys, "_path", lambda name: file if name == mine else real(name))
    file.write_text(text + "\n# a comment\n")
    assert again("check") == first
    file.write_text(text.replace("CHUNK = 4096", "CHUNK = 4097"))
    assert again("check")["sources"][mine] != first["sources"][mine]


def test_what_computes_is_in_the_key():
    sources = code_key("edgekd.stages.distill")["sources"]
    assert {"edgekd.train.loop", "edgekd.distill.losses", "edgekd.models.build"} <= set(sources)
    assert "edgekd.inputs" in sources  # imported as `from edgekd import inputs`
    assert "edgekd.config.schedules" in sources
    assert "torch" in code_key("edgekd.stages.distill")["versions"]
