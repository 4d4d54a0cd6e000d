"""The benchmarks of distillation run, on tiny files; what they measure is not judged here."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from recordings import write_recordings

from benchmarks.data_and_models import published_resnet56
from benchmarks.distillation import default, methods, resnet_x4
from benchmarks.distillation.arms import FRESH, arm, name_of, parser, shared
from edgekd.config.load import load_pipeline
from edgekd.models.count import parameters
from edgekd.spec import InputSpec

Run = Callable[..., dict[str, Any]]
FOLDER = Path(methods.__file__).parent
PICTURES = InputSpec(
    kind="image", shape=(3, 32, 32), mean=(120.0,) * 3, std=(60.0,) * 3, peak=255.0
)


def test_published_networks_have_the_published_parameters() -> None:
    assert parameters(resnet_x4.resnet32x4(PICTURES, 100)) == 7_433_860
    assert parameters(resnet_x4.resnet8x4(PICTURES, 100)) == 1_233_540
    assert parameters(published_resnet56.resnet56(PICTURES, 10)) == 853_018


@pytest.mark.parametrize("method", methods.METHODS)
@pytest.mark.parametrize("name", ["spoken-digits", "strangers", "cifar10"])
def test_every_method_is_one_of_the_pipeline_file(name: str, method: str) -> None:
    load_pipeline(FOLDER / f"{name}.yaml", [f"distill.method={methods.METHODS[method]}"])


def test_cifar100_is_the_published_recipe() -> None:
    pipeline, _ = load_pipeline(FOLDER / "cifar100.yaml")
    for train in (pipeline.teacher.train, pipeline.distill.train):
        assert train is not None
        assert (train.epochs, train.batch_size, train.step_epochs) == (240, 64, (150, 180, 210))
        assert (train.learning_rate, train.weight_decay, train.momentum) == (0.05, 5e-4, 0.9)
    assert yaml.safe_load((FOLDER / "cifar100.yaml").read_text())["data"]["name"] == "CIFAR100"


def test_a_share_keeps_each_class_and_the_test_samples(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b"], [60, 40])
    x = rng.integers(0, 256, (100, 4, 4, 3), np.uint8)
    np.savez(tmp_path / "all.npz", x_train=x, y_train=y, x_test=x[:7], y_test=y[:7])
    with np.load(shared(tmp_path / "all.npz", 0.2)) as found:
        assert sorted(found["y_train"]) == ["a"] * 12 + ["b"] * 8
        assert np.array_equal(found["x_test"], x[:7])
        kept = {picture.tobytes() for picture in found["x_train"]}
    assert len(kept) == 20 and kept <= {picture.tobytes() for picture in x}


def test_a_verdict_is_what_the_interval_shows() -> None:
    assert methods.verdict({"low": 0.001, "high": 0.02}) == "helps"
    assert methods.verdict({"low": -0.03, "high": -0.01}) == "harms"
    assert methods.verdict({"low": -0.01, "high": 0.01}) == "no difference shown"


@pytest.mark.parametrize("name", ["spoken-digits", "strangers", "cifar10"])
def test_trials_are_multiples_of_what_the_pipeline_file_has(name: str) -> None:
    pipeline, _ = load_pipeline(FOLDER / f"{name}.yaml")
    train = pipeline.distill.train
    assert default.TRIALS[0] == (1.0, 1.0, 0.0)
    assert default.settings(name, default.TRIALS[0]) == [
        f"distill.train.learning_rate={train.learning_rate:g}",
        f"distill.train.weight_decay={train.weight_decay:g}",
        f"distill.train.label_smoothing={train.label_smoothing:g}",
    ]


def test_a_cap_begins_no_other_arm(tmp_path: Path) -> None:
    given = ["--data", str(tmp_path / "fsdd.zip"), "--cap", "0"]
    chosen = parser(None, __file__).parse_args(given)
    with pytest.raises(SystemExit, match="the same command goes on"):
        arm(chosen)


def test_fresh_digits_have_test_recordings_of_their_own(tmp_path: Path) -> None:
    given = ["--data", str(tmp_path / "fsdd.zip"), "--fresh"]
    name = name_of(parser(None, __file__).parse_args(given))
    old, _ = load_pipeline(FOLDER / "spoken-digits.yaml")
    new, _ = load_pipeline(FOLDER / "spoken-digits.yaml", [FRESH])
    found = [
        {i for i in range(50) if re.search(p.data.test_files, f"7_theo_{i}.wav")}
        for p in (old, new)
    ]
    assert name == "fresh-digits"
    assert found == [set(range(20)), set(range(20, 40))]


@pytest.mark.slow
def test_cost(data: Path, tmp_path: Path, run_benchmark: Run) -> None:
    arguments = ("--data", data / "cifar10-jpeg.zip", "--quick", "--work", tmp_path)
    figures = run_benchmark("distillation.cost", *arguments)["figures"]
    assert 9 < figures["macs"]["teacher"] / figures["macs"]["student"] < 11
    assert {len(seconds) for seconds in figures["seconds"].values()} == {1}


@pytest.mark.slow
def test_methods(tmp_path: Path, run_benchmark: Run) -> None:
    recordings = tmp_path / "fsdd.zip"
    write_recordings(recordings, 120, 2, ("theo", "x", "y"))
    arguments = ("--data", recordings, "--quick", "--work", tmp_path, "--methods", "KD", "DIST")
    name = "methods-spoken-digits"
    figures = run_benchmark("distillation.methods", *arguments, result=name)["figures"]
    assert list(figures) == ["teacher", "labels", "KD", "DIST"]
    gain = figures["KD"]["minus_alone"]["values"][0]
    tests = [figures[method]["test"]["values"][0] for method in ("KD", "labels")]
    assert gain == pytest.approx(tests[0] - tests[1])
    assert (tmp_path / f"{name}.svg").read_text().count("<svg") == 1


@pytest.mark.slow
@pytest.mark.parametrize("module", ["default", "auto", "several_teachers"])
def test_comparisons(module: str, tmp_path: Path, run_benchmark: Run) -> None:
    recordings = tmp_path / "fsdd.zip"
    write_recordings(recordings, 120, 2, ("theo", "x", "y"))
    name = f"{module.replace('_', '-')}-spoken-digits"
    arguments = ("--data", recordings, "--quick", "--work", tmp_path)
    result = run_benchmark(f"distillation.{module}", *arguments, result=name)
    assert result["quick"] and len(result["rows"]) >= 6
    assert all(row["ok"] is None for row in result["rows"])
    tests = {"default": "distilled", "auto": "auto", "several_teachers": "single"}
    assert 0 <= result["figures"][tests[module]]["mean"] <= 1
