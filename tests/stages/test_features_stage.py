"""`softlabels.features` in a pipeline: the teacher runs once, and all that learns reads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from three_bands import samples

import edgekd
from edgekd.config.load import validate
from edgekd.config.pipeline import Pipeline
from edgekd.distill import featurecache
from edgekd.errors import ConfigError, StageError
from edgekd.plan import make_plan
from edgekd.progress import Progress
from edgekd.train.history import History

TRAIN = {"epochs": 2, "batch_size": 32, "precision": "float32"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("features")
    x, y = samples(90)
    np.savez(root / "mine.npz", x=x, y=y)
    return root


def pipeline(root: Path, **more: Any) -> dict[str, Any]:
    return {
        "name": "a",
        "data": {"source": "npz", "path": str(root / "mine.npz")},
        "teacher": {"model": {"name": "mlp", "width": 0.5}, "train": TRAIN},
        "student": {"model": {"name": "mlp", "width": 0.25}},
        "softlabels": {"features": True},
        "distill": {"method": [{"name": "kd"}, {"name": "fitnet", "weight": 1}], "train": TRAIN},
    } | more


def test_a_student_learns_from_kept_maps_as_from_the_teacher(root: Path):
    parts = []
    for name, kept in (("kept", True), ("live", False)):
        raw = pipeline(root, name=name, softlabels={"features": kept})
        result = edgekd.run(raw, until="distill", runs=root / name)
        names = [stage.name for stage in result.summary.stages]
        assert ("features" in names) == kept
        (folder,) = result.folder.glob("distill-*")
        parts.append([epoch.parts["fitnet"] for epoch in History.load(folder).epochs])
    np.testing.assert_allclose(parts[0], parts[1], rtol=0.01)  # float16 against float32
    assert parts[0] != parts[1]


def test_one_cache_is_for_all_that_need_the_same(root: Path):
    def nodes(**more: Any) -> dict[str, Any]:
        plan = make_plan(Pipeline.model_validate(pipeline(root, **more)), root)
        return {node.name: node for node in plan}

    later = nodes(prune=True, quantize="qat", finetune=True)
    for stage in ("distill", "finetune", "prune"):
        assert later[stage].inputs["features"] is later["features"]
    assert "features" not in later["quantize"].inputs  # no layers through fake quantizers
    own = nodes(finetune={"method": {"name": "at"}})
    assert own["finetune"].inputs["features"] is own["features-2"]
    weights = {"method": [{"name": "fitnet", "weight": 7, "ce_weight": 0}], "train": TRAIN}
    longer = nodes(distill=weights)
    assert longer["features"].key == later["features"].key
    assert longer["distill"].key != later["distill"].key
    wider = nodes(student={"model": {"name": "mlp", "width": 0.5}})
    assert wider["features"].key != later["features"].key
    assert wider["softlabels"].key == later["softlabels"].key


def test_the_size_is_told_and_no_room_is_an_error_before_training(root: Path, monkeypatch):
    class Watch(Progress):
        def __init__(self) -> None:
            self.said: list[str] = []

        def message(self, text: str) -> None:
            self.said.append(text)

    watch = Watch()
    edgekd.run(pipeline(root, name="told"), until="features", runs=root / "told", progress=watch)
    assert any("feature maps take 0.0 MB" in text for text in watch.said)
    monkeypatch.setattr(featurecache, "SPARE", 1 << 60)
    with pytest.raises(StageError, match="GB free"):
        edgekd.run(pipeline(root, name="full", seed=9), until="distill", runs=root / "full")
    assert not list((root / "full" / "full").glob("teacher-*"))


def test_it_needs_a_method_on_maps():
    with pytest.raises(ConfigError, match="no method looks at any"):
        validate(Pipeline, {"name": "a", "softlabels": {"features": True}})
