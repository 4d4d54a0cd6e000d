"""A pipeline whose teacher and student are Keras files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import yaml
from commands import edgekd

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.mark.slow
def test_a_keras_teacher_and_a_keras_student(tmp_path: Path):
    keras = pytest.importorskip("keras", reason="the optional library keras")
    from keras import layers
    from sklearn.datasets import load_digits

    def net(width: int):
        return keras.Sequential([
            layers.Input((8, 8, 1)),
            layers.Conv2D(width, 3, strides=2, padding="same", use_bias=False),
            layers.BatchNormalization(), layers.ReLU(), layers.Flatten(),
            layers.Dense(10, activation="softmax"),
        ])  # fmt: skip

    bunch = load_digits()
    teacher = net(16)
    teacher.compile("adam", "sparse_categorical_crossentropy", run_eagerly=True)
    teacher.fit(bunch.images[..., None] / 16, bunch.target, batch_size=64, epochs=4, verbose=0)
    teacher.save(tmp_path / "teacher.keras")
    net(8).save(tmp_path / "student.keras")
    pipeline = {
        "name": "keras",
        "data": {"source": "digits"},
        "teacher": {
            "model": {
                "name": "keras:teacher.keras", "pretrained": True, "arguments": {"scale": 1 / 16},
            },
            "train": None,
            "require": {"accuracy": 0.85},
        },
        "student": {"model": "keras:student.keras"},
        "distill": {"train": {"epochs": 4}},
        "quantize": {"mode": "ptq"},
        "bench": {"quick": True, "threads": [1]},
    }  # fmt: skip
    (tmp_path / "keras.yaml").write_text(yaml.safe_dump(pipeline))
    edgekd("run", "keras.yaml", cwd=tmp_path)
    summary = json.loads((tmp_path / "runs" / "keras" / "summary.json").read_text())
    files = {(m["stage"], m["format"], m["precision"]) for m in summary["models"]}
    assert {("student", "tflite", "int8"), ("student", "onnx", "int8")} <= files
    assert all(row["agreement"] >= 0.99 for row in summary["parity"])
