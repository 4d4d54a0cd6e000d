"""The bundles' arithmetic against Pillow, scipy, Python's own numbers and what training uses."""

from __future__ import annotations

import math

import numpy as np
import pytest
from made_runs import MODELS, SOUND, raw_samples
from PIL import Image
from scipy.fft import rfft

from edgekd.agent.agent import quantize
from edgekd.data import sound
from edgekd.package.linux_code import arithmetic
from edgekd.package.spec_file import _sound

TOLD = {"sound": _sound(SOUND), "kind": "audio", "peak": None, "shape": [1, 1, 1]}


@pytest.mark.parametrize(
    ("size", "wanted"),
    [((48, 64), (32, 32)), ((8, 8), (20, 31)), ((100, 37), (96, 96)), ((5, 5), (5, 5))],
)
def test_pictures_are_resized_as_pillow_does(size, wanted):
    pixels = np.random.default_rng(0).integers(0, 256, (*size, 3)).astype(np.uint8)
    # an axis at a time, because Pillow's versions differ in which they take first
    rows = Image.fromarray(pixels).resize((wanted[1], size[0]), Image.Resampling.BILINEAR)
    both = rows.resize((wanted[1], wanted[0]), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(arithmetic.resize(pixels, *wanted), np.asarray(both))
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(arithmetic.grey(pixels), grey)


def test_features_are_those_of_training():
    rng = np.random.default_rng(0)
    recordings = [
        arithmetic.made_up(TOLD, 0),
        arithmetic.made_up(TOLD, 1)[:3000],
        rng.normal(0, 0.1, 6000).astype(np.float32),
        np.zeros(4000, np.float32),
    ]
    for samples in recordings:
        ours, theirs = arithmetic.log_mel(samples, TOLD), sound.features(samples, SOUND.rate, SOUND)
        assert ours.dtype == np.float32 and ours.shape == theirs.shape
        np.testing.assert_allclose(ours, theirs, rtol=2e-7, atol=1e-6)


def test_its_functions_are_right_to_the_last_digits():
    for whole in (512, 240, 7):
        cosine, sine = arithmetic._turns(np.arange(whole), whole)
        for part in range(whole):
            angle = 2 * math.pi * part / whole
            assert abs(cosine[part] - math.cos(angle)) < 1e-15
            assert abs(sine[part] - math.sin(angle)) < 1e-15
    x = np.exp(np.random.default_rng(0).uniform(-21, 12, 2000))
    np.testing.assert_allclose(arithmetic._logarithm(x), np.log(x), rtol=4e-16, atol=3e-16)
    frames = np.random.default_rng(0).normal(size=(3, 256))
    a, b = arithmetic._fourier(frames)
    np.testing.assert_allclose((a + 1j * b)[:, :129], rfft(frames), atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_tensors_are_those_that_the_exported_file_is_fed(name):
    spec, raw = MODELS[name].input, raw_samples(name)
    normalised = spec.normalise(raw)
    scale = {"scale": 0.0173, "zero_point": -5}
    for part in spec.inputs:
        x = normalised[part.name] if isinstance(normalised, dict) else normalised
        given = raw[part.name] if isinstance(raw, dict) else raw
        int8 = part.kind != "codes"
        told = {
            **part.model_dump(),
            "layout": "NHWC",
            "dtype": "int8" if int8 else "int32",
            "quantization": scale if int8 else None,
        }
        wanted = np.moveaxis(x, 1, -1) if x.ndim == 4 else x
        wanted = quantize(wanted, scale) if int8 else wanted
        for number in range(len(given)):
            made = arithmetic.lay_out(arithmetic.normalise(given[number], told), told)
            np.testing.assert_array_equal(made, wanted[number : number + 1])
            assert made.dtype == wanted.dtype


def test_grey_and_colour_become_what_the_model_sees():
    told = {"shape": [1, 4, 4], "peak": 16.0}
    colours = np.zeros((4, 4, 4), np.uint8)
    colours[..., 0] = 255
    assert np.allclose(arithmetic.picture(colours, told), 76 * 16 / 255)
    rgb = arithmetic.picture(np.full((9, 9), 51, np.uint8), {"shape": [3, 2, 2], "peak": 255.0})
    assert rgb.shape == (3, 2, 2) and (rgb == 51).all()
