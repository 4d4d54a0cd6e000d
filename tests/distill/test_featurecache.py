"""The cache of feature maps: a method learns from it what it would from the teacher beside it."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest
import torch
from feature_nets import SPEC, Net, pair

from edgekd.config.data import Augment
from edgekd.config.feature_methods import (
    ATSettings,
    CRDSettings,
    FitNetSettings,
    PKTSettings,
    ReviewKDSettings,
    RKDSettings,
    SPSettings,
    VIDSettings,
)
from edgekd.config.methods import KDSettings
from edgekd.config.training import TrainSettings
from edgekd.data.dataset import Split
from edgekd.distill import featurecache
from edgekd.distill.featurecache import (
    cache_bytes,
    check_features,
    load_features,
    make_features,
    on_maps,
)
from edgekd.distill.losses import make_objective
from edgekd.distill.part import Pair
from edgekd.errors import StageError
from edgekd.train.batches import Batch, normalised, varied
from edgekd.train.loop import fit

ALL = (
    FitNetSettings(layers="layer*"),
    ATSettings(power=3),
    SPSettings(),
    PKTSettings(layers={"layer2": "layer1"}),
    RKDSettings(),
    VIDSettings(layers={"layer2": "layer1"}),
    CRDSettings(),
    ReviewKDSettings(),
)
AUGMENT = Augment(shift=1, mixup=0.2, views=3)
SEED = 5


def samples(n: int = 30) -> Split:
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, 1, 8, 8)).astype(np.float32)
    return Split(x, rng.integers(0, 3, n).astype(np.int64))


def made(networks: Pair, folder: Path, methods=ALL) -> list[featurecache.FeaturePart]:
    parts = on_maps(make_objective(methods, pair=networks).parts)
    make_features(networks.teacher, parts, samples(), SPEC, AUGMENT, SEED, "data", folder)
    return parts


@pytest.mark.parametrize("epoch", [0, 1, 5])
def test_every_method_has_the_same_loss_and_gradient_from_the_cache(epoch: int, tmp_path: Path):
    """Against the teacher that runs on the very views of the epoch; what differs is float16."""
    networks, split = pair(), samples()
    parts = made(networks, tmp_path)
    kept = load_features(tmp_path, parts, len(split), "data", AUGMENT, SEED)
    index = torch.tensor([3, 29, 0, 17, 8, 11])
    x = normalised(split, SPEC, torch.device("cpu"))
    seen, _ = varied(x, index, AUGMENT, SEED, epoch % 3, SPEC)
    batch = Batch(seen, torch.from_numpy(split.y)[index], index)
    networks.student.eval()
    found = []
    for cached in (False, True):
        objective = make_objective(ALL, pair=networks)
        if cached:
            objective.keep(kept)
        networks.student.zero_grad()
        with objective.watching(networks.student):
            loss, named = objective(networks.student(seen), batch, epoch)
        loss.backward()
        gradient = torch.cat([p.grad.flatten() for p in networks.student.parameters()])
        found.append((named, gradient))
    (live, wanted), (cached, gradient) = found
    assert list(live) == list(cached) and len(live) == 9
    for name, value in live.items():
        assert cached[name].item() == pytest.approx(value.item(), rel=2e-3, abs=1e-4), name
    assert torch.nn.functional.cosine_similarity(wanted, gradient, dim=0) > 0.9999
    assert not torch.equal(wanted, gradient)  # or the cache was not used


def test_a_teacher_that_is_gone_teaches_from_its_cache(tmp_path: Path):
    networks, split = pair(), samples()
    methods = (KDSettings(), FitNetSettings(layers="layer*"))
    parts = made(networks, tmp_path, methods)
    kept = load_features(tmp_path, parts, len(split), "data", AUGMENT, SEED)
    objective = make_objective(methods, pair=networks)
    objective.keep(kept)
    calls = []
    networks.teacher.register_forward_hook(lambda *_: calls.append(1))
    settings = TrainSettings(epochs=3, batch_size=10, precision="float32")
    history = fit(
        networks.student, split, split, SPEC, settings, objective, seed=SEED, augment=AUGMENT,
        teacher_logits=torch.zeros(3, 30, 3),
    )  # fmt: skip
    assert not calls
    assert history.epochs[-1].parts["fitnet"] < history.epochs[0].parts["fitnet"]


def test_only_what_a_method_needs_is_kept(tmp_path: Path):
    """The student's maps are (4, 8, 8) and (8, 4, 4), the teacher's (8, 8, 8) and (16, 4, 4)."""
    parts = made(pair(), tmp_path)
    shapes = [part.needed_shapes() for part in parts]
    assert shapes == [
        [(8, 8, 8), (16, 4, 4)],  # fitnet: whole maps
        [(64,), (16,)],  # at: positions
        [(16, 4, 4)],
        [(8,)],  # pkt: averages
        [(16,)],
        [(8, 4, 4)],  # vid: averaged down to the student's map
        [(16,)],
        [(8, 8, 8), (16, 4, 4)],
    ]
    stored = [np.load(file, mmap_mode="r") for file in sorted(tmp_path.glob("maps-*.npy"))]
    assert {array.dtype for array in stored} == {np.dtype(np.float16)}
    assert sum(array.nbytes for array in stored) == cache_bytes(parts, 3, 30)
    numbers = sum(int(np.prod(shape)) for some in shapes for shape in some)
    assert cache_bytes(parts, 3, 30) == 2 * 3 * 30 * numbers


def test_a_pruned_student_reads_the_same_cache(tmp_path: Path):
    parts = made(pair(), tmp_path, (ATSettings(), FitNetSettings()))
    smaller = on_maps(make_objective((ATSettings(), FitNetSettings()), pair=pair(Net(3))).parts)
    kept = load_features(tmp_path, smaller, 30, "data", AUGMENT, SEED)
    assert kept.shapes == [part.needed_shapes() for part in parts]


@pytest.mark.parametrize("change", ["data", "seed", "augment", "layers", "samples"])
def test_a_cache_of_other_things_is_refused(change: str, tmp_path: Path):
    parts = made(pair(), tmp_path, (FitNetSettings(),))
    other = on_maps(make_objective(FitNetSettings(layers="layer1"), pair=pair()).parts)
    with pytest.raises(StageError, match="other data, augmentation or layers"):
        load_features(
            tmp_path,
            other if change == "layers" else parts,
            31 if change == "samples" else 30,
            "theirs" if change == "data" else "data",
            Augment() if change == "augment" else AUGMENT,
            6 if change == "seed" else SEED,
        )


def test_another_teachers_cache_is_found_out(tmp_path: Path):
    networks = pair()
    parts = made(networks, tmp_path, (FitNetSettings(),))
    kept = load_features(tmp_path, parts, 30, "data", AUGMENT, SEED)
    check_features(kept, networks.teacher, parts, samples(), SPEC, AUGMENT, SEED)
    torch.manual_seed(9)
    with pytest.raises(StageError, match="does not hold this teacher's maps"):
        check_features(kept, Net(8).eval(), parts, samples(), SPEC, AUGMENT, SEED)


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(featurecache.shutil, "disk_usage", lambda _: usage(1, 1, 1000))
    with pytest.raises(StageError, match="GB free") as caught:
        made(pair(), tmp_path)
    assert caught.value.where == "softlabels.features" and not list(tmp_path.iterdir())


def test_numbers_too_large_for_float16_are_refused(tmp_path: Path):
    networks = pair()
    with torch.no_grad():
        networks.teacher.layer2[1].weight.fill_(1e6)  # type: ignore[union-attr]
    with pytest.raises(StageError, match="finite float16"):
        made(networks, tmp_path, (FitNetSettings(),))
    assert not (tmp_path / featurecache.FACTS).exists()
