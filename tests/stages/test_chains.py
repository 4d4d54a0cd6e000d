"""Chains: an assistant between teacher and student, and students that teach the next one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from three_bands import samples

import edgekd
from edgekd.config.pipeline import Pipeline
from edgekd.data.dataset import load as load_data
from edgekd.errors import ConfigError
from edgekd.models.saved import load
from edgekd.plan import make_plan
from edgekd.report.page import render
from edgekd.report.terminal import summary_table
from edgekd.stages.report import details
from edgekd.store import MANIFEST, read_json

TRAIN = {"epochs": 2, "batch_size": 32, "precision": "float32"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("chains")
    x, y = samples(120)
    np.savez(root / "mine.npz", x=x, y=y)
    return root


def pipeline(root: Path, **distill: Any) -> dict[str, Any]:
    return {
        "name": "a",
        "data": str(root / "mine.npz"),
        "teacher": {"model": {"name": "mlp", "width": 2}, "train": TRAIN},
        "student": {"model": {"name": "mlp", "width": 0.25}},
        "distill": {"method": "kd", "train": TRAIN} | distill,
    }


def test_each_learns_from_the_one_before_it(root: Path):
    raw = pipeline(root, assistant="mlp x 0.5", generations=2)
    result = edgekd.run(raw, until="compare", runs=root / "runs")
    names = [stage.name for stage in result.summary.stages]
    chain = [f"{stage}{n}" for n in (1, 2) for stage in ("assistant-", "softlabels-a", "check-a")]
    assert names == ["data", "teacher", "softlabels", "check", *chain, "distill", "compare"]
    folders = {s.name: result.folder / s.folder for s in result.summary.stages}
    data = load_data(folders["data"])
    x = torch.from_numpy(data.spec.normalise(np.asarray(data.train.x)))
    for number in (1, 2):
        network = load(folders[f"assistant-{number}"])
        with torch.no_grad():
            wanted = network.model(x).numpy()
        found = np.load(folders[f"softlabels-a{number}"] / "logits.npy")[0]
        np.testing.assert_allclose(found, wanted, atol=0.02)

    def learns_from(name: str) -> str:
        keys = {s.key: s.name for s in result.summary.stages}
        return keys[read_json(folders[name] / MANIFEST)["inputs"]["softlabels"]]

    order = [learns_from(name) for name in ("assistant-1", "assistant-2", "distill")]
    assert order == ["softlabels", "softlabels-a1", "softlabels-a2"]
    sizes = {model.stage: model.parameters for model in result.summary.models}
    second, last = (load(folders[name]).model.state_dict() for name in ("assistant-2", "distill"))
    assert not all(torch.equal(second[name], last[name]) for name in second)
    assert sizes["teacher"] > sizes["assistant-1"] > sizes["assistant-2"] == sizes["distill"]
    told = [figures.stage for figures in result.summary.teachers]
    assert told == ["teacher", "assistant-1", "assistant-2"]
    assert {row.stage for row in result.summary.retention} == {"teacher", "distill"}
    page = render(result.summary, details(result.summary, result.folder))
    assert "Assistant 2" in page and summary_table(result.summary) is not None


def test_a_chain_leaves_the_teacher_as_it_was(root: Path):
    def keys(**distill: Any) -> dict[str, str]:
        nodes = make_plan(Pipeline.model_validate(pipeline(root, **distill)), root)
        return {node.name: node.key for node in nodes}

    plain, one = keys(), keys(assistant="mlp x 0.5")
    two = keys(assistant=["mlp x 0.5", {"name": "mlp", "width": 0.375}])
    assert plain["softlabels"] == one["softlabels"] == two["softlabels"]
    assert one["assistant-1"] == two["assistant-1"]
    assert len({plain["distill"], one["distill"], two["distill"]}) == 3
    three = keys(generations=3)
    assert three["assistant-1"] == keys(generations=2)["assistant-1"]
    assert three["assistant-2"] != three["assistant-1"]


def test_later_stages_learn_from_the_last_one(root: Path):
    raw = pipeline(root, generations=2) | {"quantize": "qat", "prune": True, "control": True}
    nodes = {node.name: node for node in make_plan(Pipeline.model_validate(raw), root)}
    for name in ("distill", "prune", "quantize"):
        assert nodes[name].inputs["softlabels"] is nodes["softlabels-a1"]
    assert "softlabels" not in nodes["control-distill"].inputs
    assert nodes["compare"].inputs["teacher"] is nodes["teacher"]
    assert nodes["export-teacher"].inputs["teacher"] is nodes["teacher"]


def test_a_student_built_as_its_teacher_is_another_network(root: Path):
    """Self-distillation: no warning, and neither arm starts where the teacher started."""
    network = {"name": "mlp", "width": 0.5}
    raw = pipeline(root) | {"name": "self", "student": {"model": network}, "control": True}
    raw["teacher"] = {"model": network, "train": TRAIN}
    nodes = {node.name: node for node in make_plan(Pipeline.model_validate(raw), root)}
    starts = [nodes[name].settings.generation for name in ("distill", "control-distill")]  # type: ignore[attr-defined]
    assert starts == [1, 1]
    raw["distill"] |= {"generations": 3}
    line = {node.name: node for node in make_plan(Pipeline.model_validate(raw), root)}
    each = ("assistant-1", "assistant-2", "distill")
    assert [line[name].settings.generation for name in each] == [1, 2, 3]  # type: ignore[attr-defined]
    raw["distill"] = {"method": "kd", "train": TRAIN | {"learning_rate": 1e-9}}
    raw["teacher"]["train"] = TRAIN | {"learning_rate": 1e-9}  # all stay where they start
    result = edgekd.run(raw, until="control-distill", runs=root / "runs")
    folders = {s.name: result.folder / s.folder for s in result.summary.stages}
    told = [text for stage in result.summary.stages for text in stage.warnings]
    assert not [text for text in told if "larger than" in text]
    teacher, student, control = (
        load(folders[name]).model.state_dict() for name in ("teacher", "distill", "control-distill")
    )
    weights = [name for name, value in student.items() if value.ndim == 2]
    for name in weights:
        assert not torch.allclose(student[name], teacher[name], atol=1e-3)
        torch.testing.assert_close(student[name], control[name], atol=1e-4, rtol=0)


def test_a_network_is_written_as_tables_write_it():
    raw = {"name": "a", "distill": {"assistant": "resnet20 x 0.5"}}
    (network,) = Pipeline.model_validate(raw).between
    assert (network.name, network.width) == ("resnet20", 0.5)
    assert Pipeline.model_validate({"name": "a", "distill": {"generations": 3}}).between[0].name


@pytest.mark.parametrize(("width", "there"), [(0.5, False), (2, True)])
def test_auto_puts_an_assistant_where_the_gap_is_large(root: Path, width: float, there: bool):
    raw = pipeline(root, assistant="auto") | {"name": f"auto{width}"}
    raw["teacher"] = {"model": {"name": "mlp", "width": width}, "train": TRAIN}
    result = edgekd.run(raw, until="distill" if there else "check", runs=root / "runs")
    names = [stage.name for stage in result.summary.stages]
    assert ("assistant-1" in names) == there
    settings = result.summary.settings["distill"]["assistant"]
    assert len(settings) == there
    if not there:
        return
    sizes = {model.stage: model.parameters for model in result.summary.models}
    assert sizes["teacher"] >= 10 * sizes["distill"]
    middle = (sizes["teacher"] * sizes["distill"]) ** 0.5
    assert 0.75 < sizes["assistant-1"] / middle < 1.33
    again = edgekd.run(raw, until="distill", runs=root / "runs")
    assert all(stage.cached for stage in again.summary.stages)


def test_auto_needs_to_know_the_teachers_size(root: Path):
    raw = pipeline(root, assistant="auto") | {"teachers": ["mlp", "mlp"], "name": "many"}
    del raw["teacher"]
    result = edgekd.run(raw, until="data", runs=root / "runs")
    assert result.summary.settings["distill"]["assistant"] == []


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"distill": {"method": "labels", "assistant": "auto"}}, "hands answers on"),
        ({"distill": {"method": "labels", "generations": 2}}, "hands answers on"),
        ({"distill": {"method": ["kd", "at"], "assistant": "mlp"}}, "one pair of networks"),
        (
            {"distill": {"assistant": "mlp"}, "student": {"copy_of": "teacher"}, "prune": True},
            "nothing is distilled",
        ),
        ({"distill": {"generations": 0}}, "generations"),
        ({"distill": {"assistant": "nonet x 2"}}, "assistant"),
    ],
)
def test_what_does_not_go_together_is_told(more: dict[str, Any], words: str, tmp_path: Path):
    with pytest.raises(ConfigError, match=words):
        edgekd.run({"name": "a", **more}, runs=tmp_path)
