"""Recoloured and warped images against Pillow and NumPy."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from edgekd.config.data import Augment
from edgekd.data import colours, rand_augment
from edgekd.data.augment import view
from edgekd.spec import InputSpec

LEVEL = 1.01 / 255
"""Pillow rounds to whole levels, and edgekd does not."""
SPEC = InputSpec(
    kind="image", shape=(3, 9, 12), mean=(120.0, 110.0, 90.0), std=(60.0, 70.0, 50.0), peak=255
)
FILL = torch.tensor([0.25, 0.5, 0.75])


@pytest.fixture(params=[3, 1], ids=["colour", "grey"])
def images(request) -> np.ndarray:
    rng = np.random.default_rng(0)
    x = rng.integers(20, 230, (5, 9, 12, request.param))
    x[3] = x[3] // 3 + 40
    x[4, ...] = 77
    return x.astype(np.uint8)


def pillow(pixels: np.ndarray) -> Image.Image:
    return Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0])


def array(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image)
    return pixels if pixels.ndim == 3 else pixels[..., None]


def tensor(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)) / 255


def close(got: torch.Tensor, expected: list[np.ndarray], tolerance: float = LEVEL) -> None:
    want = tensor(np.stack(expected)).numpy()
    np.testing.assert_allclose(got.numpy(), want, atol=tolerance)


@pytest.mark.parametrize(
    ("change", "pillows"),
    [
        (colours.brightness, ImageEnhance.Brightness),
        (colours.contrast, ImageEnhance.Contrast),
        (colours.saturation, ImageEnhance.Color),
        (rand_augment.sharpness, ImageEnhance.Sharpness),
    ],
)
@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
def test_enhancements_are_pillows(images, change, pillows, factor: float) -> None:
    got = change(tensor(images), torch.full((len(images),), factor, dtype=torch.float64))
    expected = [array(pillows(pillow(image)).enhance(factor)) for image in images]
    close(got, expected, tolerance=LEVEL * (1 + abs(1 - factor)))


def test_levels_are_changed_as_by_pillow(images) -> None:
    p, each = tensor(images), [pillow(image) for image in images]
    amount = torch.full((len(p),), -0.5, dtype=torch.float64)
    close(rand_augment.posterize(p, amount, FILL), [array(ImageOps.posterize(i, 6)) for i in each])
    solarized = [array(ImageOps.solarize(i, 128)) for i in each]
    close(rand_augment.solarize(p, amount, FILL), solarized, 1e-6)
    close(
        rand_augment.autocontrast(p, amount, FILL), [array(ImageOps.autocontrast(i)) for i in each]
    )
    equalized = [array(ImageOps.equalize(i)) for i in each]
    close(rand_augment.equalize(p, amount, FILL), equalized, 1e-6)


@pytest.mark.parametrize("name", ["rotate", "shear_x", "shear_y", "translate_x", "translate_y"])
@pytest.mark.parametrize("amount", [0.9, -0.4])
def test_warps_are_pillows_affine_transforms(images, name: str, amount: float) -> None:
    """Pillow's matrix leads from output to input pixels, measured from the corner."""
    height, width = images.shape[1:3]
    cos, sin = math.cos(amount * math.radians(30)), math.sin(amount * math.radians(30))
    matrices = {
        "rotate": (cos, sin, 0, -sin, cos, 0),
        "shear_x": (1, 0.3 * amount, 0, 0, 1, 0),
        "shear_y": (1, 0, 0, 0.3 * amount, 1, 0),
        "translate_x": (1, 0, round(amount * 150 / 331 * width), 0, 1, 0),
        "translate_y": (1, 0, 0, 0, 1, round(amount * 150 / 331 * height)),
    }
    a, b, c, d, e, f = matrices[name]
    x, y = width / 2, height / 2
    corner = (a, b, c + x - a * x - b * y, d, e, f + y - d * x - e * y)
    fill = FILL[: images.shape[3]]
    amounts = torch.full((len(images),), amount, dtype=torch.float64)
    got = rand_augment.OPERATIONS[name](tensor(images), amounts, fill)
    for i, image in enumerate(images):
        expected = array(pillow(image).transform((width, height), Image.Transform.AFFINE, corner))
        inside = array(
            Image.new("L", (width, height), 1).transform(
                (width, height), Image.Transform.AFFINE, corner
            )
        )
        want = np.where(inside, expected / 255, fill.numpy()).transpose(2, 0, 1)
        wrong = (np.abs(got[i].numpy() - want) > 1e-6).any(0).sum()
        assert wrong <= 1, "a pixel may lie exactly between two"


def normalised(images: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(SPEC.normalise(images.transpose(0, 3, 1, 2)))


def test_jitter_blends_by_factors_within_the_stated_range() -> None:
    rng = np.random.default_rng(1)
    images = rng.integers(90, 120, (400, 9, 12, 3)).astype(np.uint8)
    x, index = normalised(images), torch.arange(400)
    got = view(x, index, Augment(brightness=0.4), 0, 1, SPEC)
    raw = got * torch.tensor(SPEC.std).view(3, 1, 1) + torch.tensor(SPEC.mean).view(3, 1, 1)
    factors = (raw.numpy() / images.transpose(0, 3, 1, 2)).reshape(400, -1)
    assert np.ptp(factors, axis=1).max() < 1e-3, "one factor an image"
    low, high = factors.mean(1).min(), factors.mean(1).max()
    assert 0.6 <= low < 0.62 and 1.38 < high <= 1.4


ALL = Augment(
    shift=2,
    flip=True,
    flip_vertical=True,
    brightness=0.4,
    contrast=0.4,
    saturation=0.4,
    rand_augment=3,
    magnitude=0.7,
    erase=4,
)


@pytest.mark.parametrize("last", [False, True])
def test_a_view_depends_on_seed_index_and_view_alone(last: bool) -> None:
    images = np.random.default_rng(2).integers(0, 256, (60, 9, 12, 3)).astype(np.uint8)
    x, index = normalised(images), torch.arange(100, 160)
    if last:
        x = x.contiguous(memory_format=torch.channels_last)
    whole = view(x, index, ALL, 3, 2, SPEC)
    assert whole.is_contiguous(memory_format=torch.channels_last) or not last
    order = torch.randperm(60, generator=torch.Generator().manual_seed(0))
    assert torch.equal(view(x[order], index[order], ALL, 3, 2, SPEC), whole[order])
    alone = [view(x[i : i + 1], index[i : i + 1], ALL, 3, 2, SPEC) for i in range(60)]
    assert torch.equal(torch.cat(alone), whole)
    assert torch.equal(view(x, index, ALL, 3, 0, SPEC), x)
    differs = (view(x, index, ALL, 3, 1, SPEC) != whole).flatten(1).any(1)
    assert differs.all()


def test_every_operation_is_drawn_equally_often() -> None:
    from scipy.stats import chisquare

    from edgekd.data.hashing import draw

    chosen = draw(torch.arange(20_000), 5, 1, 20, len(rand_augment.OPERATIONS))
    assert len(rand_augment.OPERATIONS) == 14
    assert chisquare(np.bincount(chosen.numpy(), minlength=14)).pvalue > 1e-4


def test_erased_squares_have_the_stated_side_or_are_cut_at_the_border() -> None:
    x = torch.ones(2000, 3, 9, 12)
    gone = view(x, torch.arange(2000), Augment(erase=4), 0, 1) == 0
    assert torch.equal(gone[:, 0], gone[:, 2])
    rows, columns = gone[:, 0].any(2).sum(1), gone[:, 0].any(1).sum(1)
    assert torch.equal(gone[:, 0].sum((1, 2)), rows * columns)
    assert rows.max() == columns.max() == 4 and rows.min() == columns.min() == 2


def test_upside_down_is_a_mirror_of_rows() -> None:
    x, index = torch.randn(200, 3, 9, 12), torch.arange(200)
    got = view(x, index, Augment(flip_vertical=True), 0, 1)
    turned = (got != x).flatten(1).any(1)
    assert 70 < int(turned.sum()) < 130
    assert torch.equal(got[turned], x[turned].flip(2))


def test_colours_need_the_scale() -> None:
    with pytest.raises(ValueError, match="peak"):
        view(torch.zeros(2, 3, 4, 4), torch.arange(2), Augment(contrast=0.1), 0, 1)
