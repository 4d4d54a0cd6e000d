"""Layers that do not exist, or cannot be compared, are told once the data is known."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgekd.config.data import DigitsData
from edgekd.config.pipeline import Pipeline
from edgekd.data.dataset import save
from edgekd.data.sources import load_source
from edgekd.errors import ConfigError, StageError
from edgekd.pipeline import run
from edgekd.stages.layer_check import check_layers


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    save(load_source(DigitsData(), folder), folder)
    return folder


def check(data: Path, method: Any, **more: Any) -> None:
    raw = {"name": "p", "teacher": "resnet8", "student": "dscnn", "distill": {"method": method}}
    check_layers(Pipeline.model_validate({**raw, **more}), data, data)


def test_layers_that_fit_pass(data):
    check(data, ["kd", {"name": "at", "layers": {"blocks": "stages"}}, "crd"])
    check(data, "kd")


@pytest.mark.parametrize(
    ("method", "what", "fix"),
    [
        ({"name": "at", "layers": {"blocks": "stagse"}}, "teacher has no layer stagse", "stages"),
        (["kd", {"name": "sp", "layers": "blokcs"}], "student has no layer blokcs", "blocks"),
        ({"name": "at", "layers": {"blocks": "classifier"}}, "over positions", "other layers"),
    ],
)
def test_others_are_told_with_their_field(data, method, what, fix):
    with pytest.raises(ConfigError, match=what) as caught:
        check(data, method)
    assert caught.value.where == "distill.method.layers"
    assert fix in caught.value.fix


def test_the_method_of_finetuning_is_looked_at_too(data):
    with pytest.raises(ConfigError) as caught:
        check(data, "kd", finetune={"method": {"name": "fitnet", "layers": "nothing"}})
    assert caught.value.where == "finetune.method.layers"


def test_layers_that_stay_float_are_looked_for_in_the_student(data):
    check(data, "kd", quantize={"keep_float": ["classifier", "blocks.*"]})
    with pytest.raises(ConfigError, match="no layer named clasifier") as caught:
        check(data, "kd", quantize={"keep_float": ["clasifier"]})
    assert caught.value.where == "quantize.keep_float"
    assert "classifier" in caught.value.fix


def test_a_weight_by_the_gap_waits_for_no_teacher(data):
    check(data, {"name": "rkd", "weight": {"from": 1, "by": "gap"}})


def test_a_finished_teacher_does_not_hide_a_wrong_layer(tmp_path: Path) -> None:
    few = {"epochs": 1, "batch_size": 256}
    raw: dict[str, Any] = {
        "name": "late",
        "teacher": {"model": {"name": "resnet8", "width": 0.5}, "train": few},
        "distill": {"train": few},
    }
    run(raw, until="teacher", runs=tmp_path)
    raw["finetune"] = {"method": {"name": "fitnet", "layers": "nothing"}}
    with pytest.raises(ConfigError, match="no layer nothing"):
        run(raw, runs=tmp_path)
    assert not list((tmp_path / "late").glob("distill-*"))


def test_a_search_checks_its_candidates_and_not_the_default_student(tmp_path: Path) -> None:
    raw = {
        "name": "searched",
        "teacher": {"model": "resnet8", "train": {"epochs": 1}, "require": {"accuracy": 0.99}},
        "student": {
            "search": {"models": ["resnet8"], "widths": [0.25]},
            "objective": {"size": "40 kB"},
        },
        "distill": {"method": {"name": "at", "layers": "stages"}},
        "quantize": "ptq",
        "bench": "quick",
    }
    with pytest.raises(StageError, match="requires"):  # the teacher's gate, after the check
        run(raw, runs=tmp_path)


def test_layers_that_pruning_ignores_exist(data):
    check(data, "kd", prune={"ignored_layers": ["blocks", "stem.*"]})
    with pytest.raises(ConfigError, match="no layer blokcs") as caught:
        check(data, "kd", prune={"ignored_layers": ["blokcs"]})
    assert caught.value.where == "prune.ignored_layers" and "blocks" in caught.value.fix
