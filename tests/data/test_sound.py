"""Log-mel features against scipy.signal and HTK's formula."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import signal
from scipy.io import wavfile

from edgekd.config.data import AudioFolderData, Augment
from edgekd.data import sound
from edgekd.data.augment import view
from edgekd.runtimes.inputs import read_samples
from edgekd.spec import InputSpec

SPEC = sound.sound_spec(AudioFolderData(path="x", seconds=0.5), 8000)


def test_features_equal_scipys_spectrogram_through_filters_by_hand() -> None:
    wave = np.random.default_rng(0).normal(0, 0.1, 4000).astype(np.float32)
    bins, _, power = signal.spectrogram(
        wave, 8000, "hann", 256, 256 - 160, 256, False, scaling="spectrum", mode="psd"
    )
    power = power.T.copy()
    power[:, 1:-1] /= 2  # scipy counts the negative frequencies, too
    edges = 700 * (
        10
        ** (np.linspace(2595 * np.log10(1 + 20 / 700), 2595 * np.log10(1 + 4000 / 700), 42) / 2595)
        - 1
    )
    banks = np.stack(
        [np.interp(bins, edges[i : i + 3], [0, 1, 0], 0, 0) for i in range(40)], axis=1
    )
    expected = np.log(1e-9 + power @ banks)
    got = sound.features(wave, 8000, SPEC)
    assert got.shape == (1, SPEC.frames, 40)
    np.testing.assert_allclose(got[0], expected, atol=1e-3)


def test_predict_computes_the_training_features(tmp_path) -> None:
    wave = (np.random.default_rng(1).normal(0, 3000, 3000)).astype(np.int16)
    wavfile.write(tmp_path / "é a.wav", 8000, wave)
    spec = InputSpec(kind="audio", shape=(1, SPEC.frames, 40), mean=(0.0,), std=(1.0,), sound=SPEC)
    again = InputSpec.model_validate_json(spec.model_dump_json())
    got = read_samples(tmp_path / "é a.wav", again)
    np.testing.assert_array_equal(got[0], sound.features(wave / np.float32(32768), 8000, SPEC))


@pytest.mark.parametrize("count", [10, 4000, 5000])
def test_recordings_are_cut_or_padded(count: int) -> None:
    fitted = sound.fit(np.ones(count, np.float32), 4000)
    assert len(fitted) == 4000 and fitted.sum() == min(count, 4000)


def test_a_view_of_features_depends_on_seed_index_and_view_alone() -> None:
    x = torch.randn(6, 1, 20, 12, generator=torch.Generator().manual_seed(0))
    settings = Augment(time_shift=3, noise=0.2, mask_time=4, mask_frequency=3)
    index = torch.arange(6)
    whole = view(x, index, settings, 7, 2)
    order = torch.tensor([4, 0, 5])
    assert torch.equal(view(x[order], order, settings, 7, 2), whole[order])
    assert not torch.equal(view(x, index, settings, 7, 3), whole)
    assert torch.equal(view(x, index, settings, 7, 0), x)


def test_masks_and_noise_have_the_stated_size() -> None:
    x = torch.ones(4000, 1, 20, 12)
    index = torch.arange(4000)
    masked = view(x, index, Augment(mask_time=5), 0, 1)[:, 0, :, 0] == 0
    assert masked.sum(1).unique().tolist() == [0, 1, 2, 3, 4, 5]
    noise = view(x, index, Augment(noise=0.3), 0, 1) - 1
    assert float(noise.std()) == pytest.approx(0.3, rel=0.01)
    assert abs(float(noise.mean())) < 0.002


def test_gain_gives_the_features_of_the_louder_recording() -> None:
    from edgekd.data.hashing import uniform

    wave = np.random.default_rng(0).normal(0, 0.05, 4000).astype(np.float32)
    wave[:1000] = 0  # the floor under the logarithm stays where it is
    raw = sound.features(wave, 8000, SPEC)[None].repeat(3, 0)
    spec = InputSpec(kind="audio", shape=raw.shape[1:], mean=(-9.0,), std=(3.0,), sound=SPEC)
    got = view(torch.from_numpy(spec.normalise(raw)), torch.arange(3), Augment(gain=12), 0, 1, spec)
    for i in range(3):
        decibel = 12 * (2 * float(uniform(torch.tensor([i]), 0, 1, 7)) - 1)
        louder = sound.features(wave * np.float32(10 ** (decibel / 20)), 8000, SPEC)
        assert abs(decibel) < 12
        np.testing.assert_allclose(got[i].numpy(), spec.normalise(louder[None])[0], atol=2e-3)
    with pytest.raises(ValueError, match="spec"):
        view(got, torch.arange(3), Augment(gain=12), 0, 1)
