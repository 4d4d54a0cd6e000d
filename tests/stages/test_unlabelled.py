"""Samples without labels: they get soft labels, and the loss with the labels passes them over."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from three_bands import samples
from torch.nn import functional as F

import edgekd
from edgekd.config.data import AudioFolderData, ImageFolderData, NpzData
from edgekd.config.methods import KDSettings
from edgekd.data.dataset import load, save
from edgekd.data.sources import load_source, source_fingerprint
from edgekd.data.unlabelled import Joined
from edgekd.distill.losses import make_objective
from edgekd.errors import ConfigError, DataError
from edgekd.train.batches import Batch

TRAIN = {"epochs": 2, "batch_size": 32, "precision": "float32"}


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("unlabelled")
    x, y = samples(120)
    np.savez(root / "mine.npz", x=x, y=y, x_unlabelled=samples(50, 1)[0])
    return root


def pipeline(root: Path, **more: Any) -> dict[str, Any]:
    augment = {"shift": 1, "views": 2}
    return {
        "name": "a",
        "data": {"source": "npz", "path": str(root / "mine.npz"), "augment": augment},
        "teacher": {"model": "mlp", "train": TRAIN},
        "student": {"model": {"name": "mlp", "width": 0.5}},
        "distill": {"method": {"name": "kd", "ce_weight": 0.5}, "train": TRAIN},
        "prune": {"keep": 0.6, "target": "parameters", "train": {"epochs": 1}},
    } | more


def test_they_get_soft_labels_and_the_student_learns_them(root: Path):
    result = edgekd.run(pipeline(root), until="prune", runs=root / "runs")
    folders = {s.name: result.folder / s.folder for s in result.summary.stages}
    data = load(folders["data"])
    assert data.unlabelled is not None and len(data.unlabelled) == 50
    logits = np.load(folders["softlabels"] / "logits.npy")
    assert logits.shape == (2, len(data.train) + 50, 3)
    # the teacher's answers to those without labels are to the very samples, in their order
    from edgekd.models.saved import load as load_model

    saved = load_model(folders["teacher"])
    with torch.no_grad():
        answers = saved.model(torch.from_numpy(data.spec.normalise(np.asarray(data.unlabelled))))
    np.testing.assert_allclose(logits[0, -50:], answers.numpy(), atol=0.02)
    (figures,) = result.summary.teachers
    assert figures.n == len(data.train)
    parts = (folders["distill"] / "history.json").read_text()
    assert "NaN" not in parts


def test_they_are_in_the_key(root: Path):
    settings = NpzData(path=root / "mine.npz")
    x, y = samples(120)
    np.savez(root / "none.npz", x=x, y=y)
    ours, none = (load_source(s, root) for s in (settings, NpzData(path=root / "none.npz")))
    assert ours.fingerprint != none.fingerprint
    assert ours.taught.y[-1] == -1 and none.taught is none.train
    assert str(ours.taught.ids[-1]) == "x_unlabelled/49"


def test_the_loss_with_labels_is_the_mean_over_those_that_there_are():
    logits, teacher = torch.randn(6, 3), torch.randn(6, 3)
    y = torch.tensor([0, -1, 2, -1, 1, -1])
    batch = Batch(torch.zeros(6, 1), y, torch.arange(6), teacher)
    settings = KDSettings(ce_weight=0.5, weight=2.0)
    loss, parts = make_objective(settings, partly=True)(logits, batch, 0)
    known = [0, 2, 4]
    ce = F.cross_entropy(logits[known], y[known])
    torch.testing.assert_close(parts["ce"], ce)
    p, q = (F.log_softmax(z / 4, 1) for z in (teacher, logits))
    kd = 16 * F.kl_div(q, p, log_target=True, reduction="batchmean")
    torch.testing.assert_close(loss, 0.5 * ce + 2 * kd)
    none = Batch(batch.x, torch.full((6,), -1), batch.index, teacher)
    loss, parts = make_objective(settings, partly=True)(logits, none, 0)
    assert parts["ce"] == 0
    torch.testing.assert_close(loss, 2 * kd)


@pytest.mark.parametrize("task", ["classification", "multilabel", "regression"])
def test_with_all_labels_known_the_loss_is_the_usual_one(task: Any):
    logits = torch.randn(6, 3)
    y, other = torch.randint(0, 3, (6,)), torch.randint(0, 3, (6,))
    if task != "classification":
        y, other = (torch.rand(6, 3) < 0.5).float(), (torch.rand(6, 3) < 0.5).float()
    share = torch.rand(6)
    batch = Batch(torch.zeros(6, 1), y, torch.arange(6), logits, partner=other, share=share)
    settings = KDSettings(weight=0, ce_weight=1, regression="mimic")
    found = [make_objective(settings, task=task, partly=p)(logits, batch, 0)[0] for p in (0, 1)]
    torch.testing.assert_close(found[0], found[1])


def test_two_arrays_are_one():
    first, second = np.arange(12).reshape(4, 3), np.arange(100, 115).reshape(5, 3)
    both, whole = Joined(first, second), np.concatenate([first, second])
    assert both.shape == whole.shape and both.size == whole.size and len(both) == 9
    np.testing.assert_array_equal(np.asarray(both), whole)
    for index in (slice(2, 7), slice(None), np.array([8, 0, 4, 3, 4]), np.array([], int)):
        np.testing.assert_array_equal(both[index], whole[index])


def test_a_folder_beside_the_labelled_one(tmp_path: Path):
    rng = np.random.default_rng(0)

    def picture(path: Path, size: int = 8) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(rng.integers(0, 256, (size, size), np.uint8)).save(path)

    for label in ("cat", "dog"):
        for i in range(10):
            picture(tmp_path / "known" / label / f"{i}.png")
    for i in range(4):
        picture(tmp_path / "more" / f"{i}.png")
    twice = tmp_path / "more/deep/twice.png"
    twice.parent.mkdir()
    settings = ImageFolderData(path=Path("known"), unlabelled=Path("more"))
    first = load_source(settings, tmp_path)
    (held,) = first.test.ids[:1]
    twice.write_bytes((tmp_path / "known" / str(held)).read_bytes())
    before = source_fingerprint(settings, tmp_path)
    data = load_source(settings, tmp_path)
    assert data.unlabelled.shape == (4, 1, 8, 8) and data.unlabelled.dtype == np.uint8
    assert data.unlabelled_ids.tolist() == [f"unlabelled/{i}.png" for i in range(4)]
    assert any("left out" in text for text in data.warnings)
    wanted = np.asarray(Image.open(tmp_path / "more/2.png"))
    np.testing.assert_array_equal(data.unlabelled[2, 0], wanted)
    save(data, tmp_path / "saved")
    np.testing.assert_array_equal(load(tmp_path / "saved").unlabelled, data.unlabelled)
    picture(tmp_path / "more" / "0.png")
    assert source_fingerprint(settings, tmp_path) != before
    picture(tmp_path / "more" / "0.png", 9)
    with pytest.raises(DataError, match="differ in size"):
        load_source(settings, tmp_path)
    empty = settings.model_copy(update={"unlabelled": Path("saved")})
    with pytest.raises(DataError, match="No file in it is a picture"):
        load_source(empty, tmp_path)


def test_recordings_take_the_rate_of_the_labelled_ones(tmp_path: Path):
    from scipy.io import wavfile

    def record(path: Path, rate: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(len(path.name)).normal(0, 3000, rate // 2)
        wavfile.write(path, rate, noise.astype(np.int16))

    for label in ("yes", "no"):
        for i in range(10):
            record(tmp_path / "known" / label / f"{label}{'x' * i}.wav", 8000)
    for i in range(3):
        record(tmp_path / "more" / f"a{'y' * i}.wav", 16000)
    settings = AudioFolderData(
        path=tmp_path / "known", unlabelled=tmp_path / "more", seconds=0.5, allow_duplicates=True
    )
    data = load_source(settings, tmp_path)
    assert data.unlabelled.shape == (3, *data.train.x.shape[1:])
    assert any("resampled to 8000 Hz" in text for text in data.warnings)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"distill": "nkd"}, "nkd asks for the label"),
        ({"distill": "dkd"}, "dkd asks for the label"),
        ({"distill": "labels"}, "learns from labels alone"),
    ],
)
def test_what_needs_every_label_is_refused_before_any_training(root: Path, more: Any, words: str):
    with pytest.raises(ConfigError, match=words):
        edgekd.run(pipeline(root, **more) | {"name": "refused"}, runs=root / "runs")
    assert not list((root / "runs/refused").glob("teacher-*"))
