"""The benchmarks of quantization run, on tiny files; what they measure is not judged here."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recordings import write_recordings

from benchmarks.quantization import distilled, speed, zoo
from edgekd.config.load import load_pipeline
from edgekd.results import OperatorFigures

Run = Callable[..., dict[str, Any]]
FOLDER = Path(zoo.__file__).parent


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    path = tmp_path / "fsdd.zip"
    write_recordings(path, 120, 2, ("theo", "x", "y"))
    return path


@pytest.mark.parametrize("network", zoo.NETWORKS)
def test_every_network_is_one_of_the_pipeline_file(network: str) -> None:
    load_pipeline(FOLDER / "spoken-digits.yaml", [f"teacher.model={zoo.NETWORKS[network]}"])


def test_networks_of_timm_are_taken_and_others_named() -> None:
    assert zoo.plain(zoo.network("timm:vit_tiny_patch16_224")) == "timm-vit_tiny_patch16_224"
    with pytest.raises(argparse.ArgumentTypeError, match=r"timm:NAME.*kws_dscnn"):
        zoo.network("kws-dscnn")


@pytest.mark.parametrize("form", distilled.FORMS)
def test_every_form_is_one_of_the_pipeline_file(form: str) -> None:
    file = FOLDER.parent / "distillation" / "spoken-digits.yaml"
    pipeline, _ = load_pipeline(file, [f"quantize={distilled.FORMS[form]}"])
    assert pipeline.quantize is not None
    assert pipeline.quantize.mode == ("ptq" if form == "PTQ" else "qat")


def test_worse_is_what_the_whole_interval_says() -> None:
    assert zoo.not_worse({"mean": -0.01, "low": -0.03, "high": 0.01})
    assert not zoo.not_worse({"mean": -0.02, "low": -0.03, "high": -0.01})
    assert not zoo.not_worse({"mean": -0.02, "low": -np.inf, "high": np.inf})


@pytest.mark.slow
def test_zoo(recordings: Path, tmp_path: Path, run_benchmark: Run) -> None:
    arguments = ("--data", recordings, "--networks", "kws_dscnn", "--quick", "--work", tmp_path)
    figures = run_benchmark("quantization.zoo", *arguments, result="zoo-kws_dscnn")["figures"]
    qat = figures["seeds"][0]["qat"]
    assert qat["tflite_float_operators"] == {}
    assert qat["tflite_bytes"] > qat["parameters"] > 0
    # The peers' files are files: each says something about the test samples.
    assert set(figures["peers"]) == {"ai-edge-quantizer", "onnxruntime", "onnx2tf"}


@pytest.mark.slow
def test_distilled(recordings: Path, tmp_path: Path, run_benchmark: Run) -> None:
    arguments = ("--data", recordings, "--quick", "--work", tmp_path)
    name = "distilled-spoken-digits"
    figures = run_benchmark("quantization.distilled", *arguments, result=name)["figures"]
    assert list(figures["test"]["alone"]) == ["float", *distilled.FORMS]
    tests = figures["test"]
    gain = tests["distilled"]["PTQ"]["mean"] - tests["alone"]["PTQ"]["mean"]
    assert figures["gain"]["PTQ"]["mean"] == pytest.approx(gain)


@pytest.mark.slow
def test_export_time(recordings: Path, tmp_path: Path, run_benchmark: Run) -> None:
    arguments = ("--data", recordings, "--quick", "--work", tmp_path)
    figures = run_benchmark("quantization.export_time", *arguments)["figures"]
    assert len(figures["edgekd"]["values"]) == len(figures["onnx2tf"]["values"]) == 1


@pytest.mark.slow
def test_speed(tmp_path: Path, run_benchmark: Run) -> None:
    figures = run_benchmark("quantization.speed", "--quick", "--work", tmp_path)["figures"]
    found = figures["resnet8"]
    assert found["ratio"] > 0 and found["int8_us"] > 0
    if found["ratio"] < speed.FASTER:
        assert set(found["profiles"]) == {"int8", "float32"}


def test_a_profile_adds_up_by_operator() -> None:
    operators = [
        OperatorFigures(name=name, op=op, us=us, calls=1)
        for name, op, us in (("a", "Conv", 2.0), ("b", "Add", 3.0), ("c", "Conv", 4.0))
    ]
    assert speed.by_operator(operators) == {"Conv": 6.0, "Add": 3.0}
    assert list(speed.by_operator(operators)) == ["Conv", "Add"]
    assert speed.by_operator(None) == {}
