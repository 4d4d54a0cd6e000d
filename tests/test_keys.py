"""What is in a stage's key: the code that makes the artefact, and no other."""

from __future__ import annotations

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
        ("softlabels", {"softlabels", "toplogits"}),
    ],
)
def test_an_edit_of_a_loss_retrains_no_teacher(stage: str, allowed: set[str]):
    """Nor does it ask it again; of `edgekd.distill`, files and caches of answers are covered."""
    sources = code_key(f"edgekd.stages.{stage}")["sources"]
    used = {name.removeprefix("edgekd.distill.") for name in sources if ".distill." in name}
    assert used == allowed
    assert "edgekd.train.labels" in sources or stage != "teacher"


def test_what_computes_is_in_the_key():
    sources = code_key("edgekd.stages.distill")["sources"]
    assert {"edgekd.train.loop", "edgekd.distill.losses", "edgekd.models.build"} <= set(sources)
    assert "edgekd.inputs" in sources  # imported as `from edgekd import inputs`
    assert "edgekd.config.schedules" in sources
    assert "torch" in code_key("edgekd.stages.distill")["versions"]
