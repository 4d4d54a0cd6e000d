"""Shifts against scipy and numpy by hand; the same for a sample wherever it stands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgekd.config.data import AudioFolderData, Features
from edgekd.config.quality import QualitySettings
from edgekd.data import sound
from edgekd.quality.shifts import Shift, apply, blur, shifts_for
from edgekd.spec import InputSpec, NamedInputs

IMAGE = InputSpec(kind="image", shape=(3, 9, 7), mean=(90.0,) * 3, std=(50.0,) * 3, peak=255.0)
FLOATS = InputSpec(kind="image", shape=(1, 6, 6), mean=(0.0,), std=(1.0,))
ROW = InputSpec(kind="row", shape=(4,), mean=(0.0,) * 4, std=(1.0, 10.0, 0.1, 5.0))
SERIES = InputSpec(kind="series", shape=(2, 30), mean=(0.0, 0.0), std=(1.0, 4.0))
SOUND = sound.sound_spec(
    AudioFolderData(path="x", source="audio_folder", seconds=0.5, features=Features(mels=20)), 8000
)
AUDIO = InputSpec(kind="audio", shape=(1, SOUND.frames, 20), mean=(-9.0,), std=(3.0,), sound=SOUND)
CODES = InputSpec(name="codes", kind="codes", shape=(1,), vocabulary=(("a", "b"),))
NOTHING = {
    "range": 0.0,
    "px": 1e-6,
    "contrast": 0.0,
    "std": 0.0,
    "dB": 0.0,
    "dB SNR": float("inf"),
}
"""By unit: the severity that is no shift."""


def samples(spec: InputSpec, n: int = 12, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    if spec.sound is not None:
        waves = 0.1 * rng.standard_normal((n, spec.sound.samples)).astype(np.float32)
        return np.stack([sound.features(wave, spec.sound.rate, spec.sound) for wave in waves])
    if spec.kind == "image" and spec.peak:
        return rng.integers(0, 256, (n, *spec.shape), np.uint8)
    return rng.normal(0, 1, (n, *spec.shape)).astype(np.float32)


@pytest.mark.parametrize("spec", [IMAGE, FLOATS, ROW, SERIES, AUDIO], ids=lambda s: s.kind)
def test_no_severity_is_no_shift(spec: InputSpec):
    x = samples(spec)
    for shift in {Shift(s.name, NOTHING[s.unit], s.unit) for s in shifts_for(spec, SETTINGS)}:
        found = apply(x, range(12), spec, shift, 0)
        assert found.dtype == x.dtype and found.shape == x.shape
        np.testing.assert_allclose(found, x, rtol=2e-6, atol=1e-6, err_msg=shift.name)


SETTINGS = QualitySettings()


@pytest.mark.parametrize("spec", [IMAGE, FLOATS, ROW, SERIES, AUDIO], ids=lambda s: s.kind)
def test_the_same_seed_gives_the_same_whatever_the_batch(spec: InputSpec):
    x = samples(spec)
    some = [7, 2, 11]
    for shift in shifts_for(spec, SETTINGS):
        whole = apply(x, range(12), spec, shift, 3)
        np.testing.assert_array_equal(apply(x[some], some, spec, shift, 3), whole[some])
        other = apply(x, range(12), spec, shift, 4)
        assert (shift.name == "noise") == bool((other != whole).any())
        assert (whole != x).any()


def test_noise_of_pictures_has_its_deviation():
    x = np.full((200, *FLOATS.shape), 0.5, np.float32)
    spec = FLOATS.model_copy(update={"peak": 1.0})
    found = apply(x, range(200), spec, Shift("noise", 0.05, "range"), 0) - x
    assert found.std() == pytest.approx(0.05, rel=0.03)
    assert found.mean() == pytest.approx(0, abs=0.002)


def test_noise_of_rows_and_series_is_in_units_of_each_feature():
    for spec, axes in ((ROW, 0), (SERIES, (0, 2))):
        x = np.zeros((2000, *spec.shape), np.float32)
        found = apply(x, range(2000), spec, Shift("noise", 0.25, "std"), 0)
        assert found.std(axis=axes) == pytest.approx(0.25 * np.array(spec.std), rel=0.07)


def test_severities_share_their_noise():
    x = samples(ROW)
    one, two = (apply(x, range(12), ROW, Shift("noise", s, "std"), 0) - x for s in (0.5, 1.0))
    np.testing.assert_allclose(two, 2 * one, rtol=1e-3, atol=1e-5)


def test_brightness_and_contrast_by_hand():
    x = samples(IMAGE)
    brighter = apply(x, range(12), IMAGE, Shift("brightness", 0.2, "range"), 0)
    np.testing.assert_array_equal(brighter, np.minimum(x.astype(int) + 51, 255))
    flat = apply(x, range(12), IMAGE, Shift("contrast", 0.5, "contrast"), 0)
    for picture, found in zip(x, flat, strict=True):
        expected = picture.mean() + 0.5 * (picture - picture.mean())
        assert np.abs(found - expected).max() <= 0.51, "rounded to whole values"
    gone = apply(x, range(12), IMAGE, Shift("contrast", 1.0, "contrast"), 0)
    assert all(np.ptp(picture) == 0 for picture in gone)


def test_blur_is_scipys_and_keeps_the_mean():
    from scipy.ndimage import gaussian_filter

    x = samples(IMAGE).astype(np.float32)
    for found, picture in zip(blur(x, 1.2), x, strict=True):
        expected = [gaussian_filter(channel, 1.2) for channel in picture]
        np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-3)
    constant = np.full((1, 1, 8, 8), 3.0, np.float32)
    np.testing.assert_allclose(blur(constant, 2.0), constant, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(number=st.integers(0, 12), seed=st.integers(0, 99))
def test_pictures_stay_between_black_and_white(number: int, seed: int):
    shifts = shifts_for(IMAGE, SETTINGS)
    spec = IMAGE.model_copy(update={"peak": 16.0})
    x = np.random.default_rng(seed).integers(0, 17, (3, *spec.shape), np.uint8)
    found = apply(x, [0, 1, 2], spec, shifts[number], seed)
    assert found.min() >= 0 and found.max() <= 16
    assert found.dtype == np.uint8


@pytest.mark.parametrize("decibel", [-20.0, 6.0])
def test_gain_is_that_of_the_waveform(decibel: float):
    wave = 0.05 * np.random.default_rng(0).standard_normal(SOUND.samples).astype(np.float32)
    wave[: SOUND.samples // 3] = 0  # silence: at the logarithm's floor
    plain = sound.features(wave, SOUND.rate, SOUND)[None]
    found = apply(plain, [0], AUDIO, Shift("gain", decibel, "dB"), 0)
    louder = (wave * 10 ** (decibel / 20)).astype(np.float32)
    expected = sound.features(louder, SOUND.rate, SOUND)[None]
    np.testing.assert_allclose(found, expected, atol=2e-3)


def test_noise_of_recordings_is_on_average_that_of_the_waveform():
    """Mel energies of signal + noise, over many draws of noise, in each frame and band."""
    rng = np.random.default_rng(0)
    time = np.arange(SOUND.samples) / SOUND.rate
    wave = (0.1 * np.sin(2 * np.pi * 700 * time) * np.hanning(SOUND.samples)).astype(np.float32)
    plain = sound.features(wave, SOUND.rate, SOUND)
    energy = np.exp(plain.astype(np.float64)) - sound.LEAST_ENERGY
    noises = rng.standard_normal((400, SOUND.samples)).astype(np.float32)
    ours = [
        np.exp(apply(plain[None], [i], AUDIO, Shift("noise", 10.0, "dB SNR"), 0)[0].astype(float))
        for i in range(400)
    ]
    theirs = []
    for noise in noises:
        of_noise = np.exp(sound.features(noise, SOUND.rate, SOUND).astype(float)).sum()
        scaled = noise * np.sqrt(energy.sum() / 10 / of_noise)
        theirs.append(np.exp(sound.features(wave + scaled, SOUND.rate, SOUND).astype(float)))
    np.testing.assert_allclose(np.mean(ours, 0), np.mean(theirs, 0), rtol=0.35)
    assert np.mean(ours) == pytest.approx(np.mean(theirs), rel=0.01)


@pytest.mark.parametrize("ratio", [20.0, 0.0])
def test_noise_of_recordings_has_its_ratio(ratio: float):
    x = samples(AUDIO, 3)
    found = apply(x, range(3), AUDIO, Shift("noise", ratio, "dB SNR"), 0)
    before, after = (np.exp(f.astype(np.float64)).sum(axis=(1, 2, 3)) for f in (x, found))
    assert 10 * np.log10(before / (after - before)) == pytest.approx(ratio, abs=0.05)


def test_silence_stays_silent():
    x = np.full((1, *AUDIO.shape), np.log(1e-9), np.float32)
    for shift in shifts_for(AUDIO, SETTINGS):
        np.testing.assert_allclose(apply(x, [0], AUDIO, shift, 0), x, atol=1e-3)


def test_of_several_inputs_only_numbers_get_noise():
    numbers = ROW.model_copy(update={"name": "numbers"})
    spec = NamedInputs(inputs=(numbers, CODES))
    x = {"numbers": samples(ROW), "codes": np.ones((12, 1), np.int32)}
    (*shifts,) = shifts_for(spec, SETTINGS)
    assert [s.severity for s in shifts] == [0.1, 0.25, 0.5]
    found = apply(x, range(12), spec, shifts[2], 0)
    assert found["codes"] is x["codes"]
    assert np.abs(found["numbers"] - x["numbers"]).min() > 0
    assert shifts_for(NamedInputs(inputs=(CODES,)), SETTINGS) == []


def test_settings_choose_the_shifts():
    chosen = QualitySettings.model_validate({"images": {"noise": [], "blur": [2], "contrast": []}})
    assert shifts_for(IMAGE, chosen)[0] == Shift("blur", 2.0, "px")
    assert {s.name for s in shifts_for(IMAGE, chosen)} == {"blur", "brightness"}
    with pytest.raises(ValueError, match="greater than 0"):
        QualitySettings.model_validate({"images": {"noise": [0]}})
