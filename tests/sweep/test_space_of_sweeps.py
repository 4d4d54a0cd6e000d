"""The search file, and what of it is refused before anything runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from edgekd.config.load import load_pipeline, validate
from edgekd.config.sweep import SweepSettings
from edgekd.errors import ConfigError
from edgekd.sweep.objectives import Costs, check_objectives, limit_of, missed
from edgekd.sweep.space import (
    check_space,
    distributions,
    every_setting,
    load_search,
    overrides_of,
    size_of,
)

PIPELINE = {
    "name": "small",
    "data": "digits",
    "student": {"model": {"name": "mlp", "width": 0.5}},
    "distill": "kd",
    "quantize": "ptq",
}


def sweep(**fields: Any) -> SweepSettings:
    return SweepSettings.model_validate({"space": {"student.model.width": [0.25, 0.5]}, **fields})


def check(tmp_path: Path, pipeline: dict[str, Any] | None = None, **fields: Any) -> None:
    """Everything that `edgekd sweep` checks first."""
    path = tmp_path / "pipeline.yaml"
    path.write_text(yaml.safe_dump({**PIPELINE, **(pipeline or {})}))
    loaded, base = load_pipeline(path)
    asked = sweep(**fields)
    check_objectives(asked, loaded, base)
    check_space(asked, loaded, path)


def test_forms_of_a_dimension() -> None:
    asked = sweep(
        space={
            "distill.method": ["kd", {"name": "dkd", "beta": 4}],
            "distill.train.epochs": {"int": [2, 16], "log": True},
            "distill.train.learning_rate": {"float": ["1e-3", 0.1]},
        }
    )
    assert distributions(asked) == {
        "distill.method": CategoricalDistribution(['"kd"', '{"beta":4,"name":"dkd"}']),
        "distill.train.epochs": IntDistribution(2, 16, log=True),
        "distill.train.learning_rate": FloatDistribution(0.001, 0.1),
    }
    assert size_of(asked) is None


def test_all_settings_of_a_space_without_real_numbers() -> None:
    asked = sweep(space={"seed.a": [1, 2], "b": {"int": [3, 5]}})
    assert size_of(asked) == 6
    assert len({json.dumps(one) for one in every_setting(asked)}) == 6


@pytest.mark.parametrize(
    ("space", "told"),
    [
        ({"a": {"int": [3, 3]}}, "below"),
        ({"a": {"float": [0, 1], "log": True}}, "above 0"),
        ({"a": {"float": [0, float("inf")]}}, "finite"),
        ({"a": []}, "at least 1"),
        ({"a": [1, 2, 1]}, "twice"),
        ({}, "at least 1"),
        ({"a": {"int": [1, 2], "step": 1}}, "no such field"),
    ],
)
def test_wrong_dimensions_are_refused(space: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        validate(SweepSettings, {"space": space})


def test_a_wrong_field_of_the_file_is_told_with_line_and_nearest_name(tmp_path: Path) -> None:
    path = tmp_path / "search.yaml"
    path.write_text("trails: 3\nspace: {student.model.width: [1]}\n")
    with pytest.raises(ConfigError, match=r"line 1, trails: .* did you mean trials"):
        load_search(path)
    with pytest.raises(ConfigError, match="no search file"):
        load_search(tmp_path / "other.yaml")


@pytest.mark.parametrize(
    ("field", "told"),
    [
        ("student.model.widht", "student.model.width"),
        ("distil.train.epochs", "did you mean distill"),
        ("distill.method.temprature", "distill.method.temperature"),
        ("prune.kep", "prune.keep"),
        ("quantize.train.epoch", "quantize.train.epochs"),
    ],
)
def test_a_field_that_is_not_in_the_pipeline_is_refused(
    tmp_path: Path, field: str, told: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        check(tmp_path, space={field: [1, 2]})
    assert told in str(caught.value)


@pytest.mark.parametrize("field", ["seed", "name", "budget.size", "data.source", "bench.quick"])
def test_fields_that_may_not_vary(tmp_path: Path, field: str) -> None:
    with pytest.raises(ConfigError, match="cannot vary"):
        check(tmp_path, space={field: [1, 2]})


def test_fields_of_sections_that_are_left_out_may_vary(tmp_path: Path) -> None:
    check(tmp_path, space={"prune.keep": {"float": [0.3, 0.9]}, "data.augment.shift": [0, 1]})


def test_a_value_that_the_field_does_not_take_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"distill.train.epochs cannot be 0"):
        check(tmp_path, space={"distill.train.epochs": {"int": [0, 4]}, "seed": [1]})
    with pytest.raises(ConfigError, match=r"student.model.name cannot be"):
        check(tmp_path, space={"student.model.name": ["mlp", "resnet9"]})


def test_a_method_and_its_fields_may_vary_together(tmp_path: Path) -> None:
    space = {"distill.method.temperature": [2, 4], "distill.method": ["kd", "dkd"]}
    check(tmp_path, space=space)
    own = overrides_of(
        {"distill.method.temperature": "4", "distill.method": '"dkd"'}, sweep(space=space)
    )
    assert own == ['distill.method="dkd"', "distill.method.temperature=4"]
    pipeline, _ = load_pipeline(tmp_path / "pipeline.yaml", own)
    assert pipeline.distill.method.model_dump()["temperature"] == 4  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("objectives", "told"),
    [
        (["size"], "accuracy must be among them"),
        (["accuracy", "speed"], "no objective"),
        (["accuracy", "accuracy"], "given twice"),
    ],
)
def test_objectives_that_are_none(objectives: list[str], told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        validate(SweepSettings, {"space": {"a": [1]}, "objectives": objectives})


def test_objectives_that_the_pipeline_cannot_measure(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"bench.devices=\[local, raspberry-pi\]"):
        check(tmp_path, objectives=["accuracy", "latency on raspberry-pi"])
    with pytest.raises(ConfigError, match="no file raspbery-pi"):
        check(tmp_path, objectives=["accuracy", "latency on raspbery-pi"])
    with pytest.raises(ConfigError, match="emulated"):
        check(tmp_path, objectives=["accuracy", "latency on arm64-emulator"])
    with pytest.raises(ConfigError, match="does not measure latency on local with 1 thread"):
        check(tmp_path, {"bench": {"threads": ["all"]}}, objectives=["accuracy", "latency"])
    with pytest.raises(ConfigError, match=r"export.preprocess: baked"):
        check(tmp_path, {"export": {"preprocess": "baked"}})
    check(tmp_path, {"export": {"preprocess": "baked"}}, objectives=["accuracy"])


def test_limits_are_compared_where_they_look() -> None:
    asked = sweep(
        objectives=["accuracy", "latency", "size"],
        limits={"size": "10 kB", "latency": ["2 ms", "5 ms on raspberry-pi"]},
    )
    assert [limit.device for limit in asked.timed] == ["local", "raspberry-pi"]
    assert (limit_of("size", asked), limit_of("latency", asked)) == (10_000, 2000)
    times = [(asked.timed[0], 1900.0, None), (asked.timed[1], 5100.0, None)]
    costs = Costs(9_999, tuple(times))
    assert missed(costs, asked) == ["p50 5.100 ms, limit 5 ms on raspberry-pi"]
    assert costs.of("latency") == 1900.0
