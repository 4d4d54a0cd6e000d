"""Folders of pictures and of recordings, from the pipeline file to an answer of the int8 file."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from commands import edgekd
from PIL import Image
from scipy.io import wavfile

from edgekd.results import Summary

pytestmark = pytest.mark.slow

QUICK = """
teacher: {model: {name: resnet8, width: 0.5}, train: {epochs: 8, batch_size: 32}}
student: {model: {name: dscnn, width: 0.25}}
distill: {train: {epochs: 12, batch_size: 32, learning_rate: 1.0e-2}}
quantize: {mode: qat, train: {epochs: 2}}
bench: {quick: true, threads: [1]}
"""


def the_student(folder: Path, name: str, cwd: Path) -> Path:
    summary = Summary.model_validate_json((folder / "summary.json").read_text())
    (model,) = [
        m
        for m in summary.models
        if (m.stage, m.format, m.precision) == ("student", "tflite", "int8")
    ]
    assert model.accuracy is not None
    assert model.accuracy.value > 0.85, name
    return (folder / model.path).relative_to(cwd)


def test_a_zip_of_pictures(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    with zipfile.ZipFile(tmp_path / "photos.zip", "w") as archive:
        for i in range(180):
            colour = ["red", "green", "über blue"][i % 3]
            pixels = rng.integers(0, 120, (14, 18, 3), np.uint8)
            pixels[..., i % 3] += 100
            path = tmp_path / f"photos/{i}.png"
            Image.fromarray(pixels).save(path)
            archive.write(path, f"{colour}/picture {i}.png")
    text = "data: {source: image_folder, path: photos.zip, size: [12, 12], augment: {flip: true}}\n"
    (tmp_path / "p.yaml").write_text("name: photos\n" + text + QUICK)
    edgekd("run", "p.yaml", cwd=tmp_path)
    model = the_student(tmp_path / "runs/photos", "photos", tmp_path)
    answer = edgekd("predict", model, "photos/4.png", cwd=tmp_path).stdout
    assert "green" in answer


def test_a_folder_of_recordings(tmp_path):
    rng = np.random.default_rng(0)
    (tmp_path / "sounds").mkdir()
    time = np.arange(4000) / 8000
    for i in range(120):
        pitch = [300, 900, 2100][i % 3]
        wave = np.sin(2 * np.pi * pitch * time + rng.uniform(0, 6)) * 8000
        noisy = (wave + rng.normal(0, 800, 4000)).astype(np.int16)
        wavfile.write(tmp_path / f"sounds/{['low', 'middle', 'high'][i % 3]}_{i}.wav", 8000, noisy)
    (tmp_path / "p.yaml").write_text(
        "name: sounds\n"
        "data:\n"
        "  source: audio_folder\n"
        "  path: sounds\n"
        "  rate: 8000\n"
        "  seconds: 0.5\n"
        "  label: '^([a-z]+)_'\n"
        "  augment: {time_shift: 2, noise: 0.1}\n" + QUICK
    )
    edgekd("run", "p.yaml", cwd=tmp_path)
    model = the_student(tmp_path / "runs/sounds", "sounds", tmp_path)
    answer = edgekd("predict", model, "sounds/middle_4.wav", cwd=tmp_path).stdout
    assert "middle" in answer
