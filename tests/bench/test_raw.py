"""End to end, from a file's bytes to the answer, against `predict` and numpy."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import wavfile
from tiny_models import Tiny
from typer.testing import CliRunner

from edgekd.bench.jobs import bench_files
from edgekd.bench.result import STEPS
from edgekd.bench.table import describe_raw
from edgekd.bench.visit import More
from edgekd.cli import app
from edgekd.config.stages import BenchSettings
from edgekd.data.command_source import named_data
from edgekd.errors import ConfigError, DataError
from edgekd.runtimes.predict import predict
from edgekd.spec import InputSpec

SHORT = BenchSettings(min_runs=40, min_seconds=0.01, threads=(1,), processes=2)
ONCE = SHORT.model_copy(update={"processes": 1})
RAW = More(raw=True)


def pictures(folder: Path, classes: int = 4, each: int = 12) -> Path:
    """test/CLASS/N.png, of any size, and as many for training."""
    generator = np.random.default_rng(3)
    for part in ("train", "test"):
        for label in range(classes):
            there = folder / part / f"class{label}"
            there.mkdir(parents=True)
            for number in range(each):
                values = generator.integers(0, 256, (6, 5 + label), np.uint8)
                Image.fromarray(values).save(there / f"{number}.png")
    return folder


def test_pictures_in_both_runtimes(tmp_path):
    source = pictures(tmp_path / "photos")
    tiny = Tiny(shape=(1, 4, 4), mean=100.0, std=60.0, peak=255.0)
    paths = [tiny.write(tmp_path, form, "float32") for form in ("onnx", "tflite")]
    result = bench_files(paths, ONCE, source, more=RAW)
    asked = sorted(source.glob("test/*/*.png"), key=str)
    for row, path in zip(result.rows, paths, strict=True):
        found = row.raw
        assert found is not None and (found.kind, found.files) == ("pictures", 32)
        assert tuple(found.steps) == STEPS
        assert all(times.n >= 40 and times.p50_low is not None for times in found.steps.values())
        parts = sum(found.steps[name].mean for name in STEPS[:-1])
        assert parts == pytest.approx(found.steps["together"].mean)
        chosen = np.unique(np.linspace(0, len(asked) - 1, 32).round().astype(int))
        few = [asked[place] for place in chosen]
        answers = [prediction.label for prediction in predict(path, few)]
        assert found.right == sum(p.parent.name == a for p, a in zip(few, answers, strict=True))
        told = describe_raw(row)
        assert f"{found.right} of 32 right" in told and all(f"{s} " in told for s in STEPS[:-1])


def test_recordings(tmp_path):
    generator = np.random.default_rng(4)
    for part in ("train", "test"):
        for label in ("class0", "class1"):
            (tmp_path / "sounds" / part / label).mkdir(parents=True)
            for number in range(6):
                values = generator.integers(-9000, 9000, 8000).astype(np.int16)
                wavfile.write(tmp_path / "sounds" / part / label / f"{number}.wav", 8000, values)
    source = tmp_path / "sounds"
    spec = named_data(str(source)).spec
    assert isinstance(spec, InputSpec)
    tiny = Tiny(shape=spec.shape, classes=2)
    tiny.spec = tiny.spec.model_copy(update={"input": spec, "task": "binary"})
    path = tiny.write(tmp_path, "onnx", "int8")
    (row,) = bench_files([path], ONCE, source, more=RAW).rows
    assert row.raw is not None and (row.raw.kind, row.raw.files) == ("recordings", 12)
    answers = predict(path, sorted(source.glob("test/*/*.wav"), key=str))
    assert row.raw.right == sum(one.file.parent.name == one.label for one in answers)


def test_what_cannot_be_measured_from_raw_files(tmp_path):
    source = pictures(tmp_path / "photos", 4, 8)
    own, foreign = tmp_path / "own", tmp_path / "foreign"
    own.mkdir()
    foreign.mkdir()
    tiny = Tiny(shape=(1, 4, 4), mean=100.0, std=60.0, peak=255.0)
    path, bare = tiny.write(own, "onnx", "float32"), tiny.write(foreign, "onnx", "float32", None)
    with pytest.raises(ConfigError, match="no files to start from"):
        bench_files([path], SHORT, more=RAW)
    with pytest.raises(ConfigError, match="does not tell how an app"):
        bench_files([bare], SHORT, source, more=RAW)
    rows = Tiny(shape=(1, 8, 8), classes=10, peak=16.0).write(own, "tflite", "float32")
    with pytest.raises(DataError, match="no pictures or recordings"):
        bench_files([rows], SHORT, "digits", more=RAW)
    elsewhere = SHORT.model_copy(update={"devices": ("arm64-emulator",)})
    with pytest.raises(ConfigError, match="Only this machine"):
        bench_files([path], elsewhere, source, more=RAW)


def test_the_command(tmp_path):
    source = pictures(tmp_path / "photos", 4, 8)
    tiny = Tiny(shape=(1, 4, 4), mean=100.0, std=60.0, peak=255.0)
    path = tiny.write(tmp_path, "tflite", "int8")
    command = ["bench", str(path), "--quick", "--threads", "1", "--data", str(source)]
    done = CliRunner().invoke(app, [*command, "--from", "raw"])
    assert done.exit_code == 0, done.output
    assert "end to end from 32 pictures" in done.output and "preprocess" in done.output
