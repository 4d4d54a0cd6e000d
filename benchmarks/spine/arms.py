"""One arm of `training_speed.py`: a network trained from a seed, in this process."""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from benchmarks.spine import plain_loop
from edgekd.config.data import Augment
from edgekd.config.stages import ModelSettings
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Dataset, Split, load
from edgekd.models.build import build
from edgekd.train.batches import normalised
from edgekd.train.evaluate import accuracy, predict_logits
from edgekd.train.labels import Labels, LabelsOnly
from edgekd.train.loop import fit
from edgekd.train.precision import effective_precision

RESNET20 = ModelSettings(name="resnet20")
PROBE_EPOCHS, PROBE_SAMPLES = 2, 40 * 128


def settings_for(epochs: int) -> TrainSettings:
    """Settings of both arms; gradients are not clipped, because a plain loop does not."""
    return TrainSettings(
        epochs=epochs,
        batch_size=128,
        optimizer="sgd",
        learning_rate=0.1,
        momentum=0.9,
        weight_decay=5e-4,
        schedule="cosine",
        warmup_epochs=1 if epochs > 1 else 0,
        clip_norm=None,
    )


def train_arm(chosen: argparse.Namespace) -> dict[str, Any]:
    """Trains `chosen.arm` with `chosen.seed`.

    Returns:
        The seconds of each epoch, those before the first one, and the test accuracy of the network
        that the arm ends with: the last epoch's, or for edgekd the best on validation, which with a
        rate that falls to 0 is nearly always the last one, too. For "probe", seconds only.
    """
    probe = chosen.arm == "probe"
    data = limited(load(chosen.data), PROBE_SAMPLES if probe else chosen.train_samples)
    settings = settings_for(PROBE_EPOCHS if probe else chosen.epochs)
    torch.manual_seed(chosen.seed)
    model = build(RESNET20, data.spec, data.classes)
    begin = time.perf_counter()
    if chosen.arm == "edgekd":
        history = fit(
            model,
            data.train,
            data.validation,
            data.spec,
            settings,
            LabelsOnly(Labels()),
            seed=chosen.seed,
            augment=Augment(shift=4, flip=True),
        )
        seconds = [record.seconds for record in history.epochs]
        setup = setup_seconds(data)
        precision = effective_precision(settings.precision)
    else:
        batches = plain_loop.loader(data.train, data.spec, settings.batch_size, chosen.workers)
        setup = time.perf_counter() - begin
        seconds = plain_loop.train(model, batches, settings)
        precision = "float32"
    if probe:
        return {"epoch_seconds": seconds}
    test = accuracy(
        predict_logits(model, data.test, data.spec), data.test.y, runtime="torch", split="test"
    )
    return {
        "epoch_seconds": seconds,
        "setup_seconds": setup,
        "test_accuracy": test.value,
        "precision": precision,
        "threads": torch.get_num_threads(),
        "train_samples": len(data.train),
    }


def setup_seconds(data: Dataset) -> float:
    """What `fit` does once before the first epoch: both splits normalised, channels last."""
    begin = time.perf_counter()
    for split in (data.train, data.validation):
        normalised(split, data.spec, torch.device("cpu"))
    return time.perf_counter() - begin


def limited(data: Dataset, samples: int | None) -> Dataset:
    """The data set with so many training samples, the same ones every time."""
    if samples is None or samples >= len(data.train):
        return data
    kept = np.sort(np.random.default_rng(0).permutation(len(data.train))[:samples])
    return replace(data, train=Split(data.train.x[kept], data.train.y[kept]))
