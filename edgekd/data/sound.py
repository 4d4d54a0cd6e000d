"""Recordings as log-mel features; the same code makes them for training and for `predict`."""

from __future__ import annotations

import io
import math
import warnings
from functools import cache

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import AudioFolderData
from edgekd.errors import DataError
from edgekd.spec import SoundSpec

LEAST_ENERGY = 1e-9
"""Added to a mel energy before the logarithm, so that silence has one: full scale is 1."""
LEAST_RATE, MOST_RATE = 100, 768_000
"""Hz. Resampling from rates that no recorder has takes filters of any length."""
WAV = (".wav",)
OTHERS = (".flac", ".ogg", ".mp3", ".aif", ".aiff")
"""Read with soundfile, where it is installed."""


def sound_spec(settings: AudioFolderData, rate: int) -> SoundSpec:
    """The features that the settings ask for, at a sampling rate in Hz.

    Raises:
        DataError: a recording is shorter than a frame, or a filter would be empty.
    """
    features = settings.features
    found = SoundSpec(
        rate=rate,
        samples=round(settings.seconds * rate),
        window=round(features.window_ms * rate / 1000),
        hop=max(1, round(features.hop_ms * rate / 1000)),
        mels=features.mels,
        low_hz=features.low_hz,
        high_hz=rate / 2 if features.high_hz is None else features.high_hz,
    )
    if not 2 <= found.window <= found.samples:
        raise DataError(
            f"A window of {features.window_ms:g} ms does not fit {settings.seconds:g} s.",
            where="data.features.window_ms",
        )
    if not found.low_hz < found.high_hz <= rate / 2:
        raise DataError(
            f"Filters from {found.low_hz:g} to {found.high_hz:g} Hz are not possible at {rate} Hz.",
            where="data.features",
            fix=f"high_hz is at most {rate / 2:g}, and low_hz is below it",
        )
    empty = int((filters(found).max(0) == 0).sum())
    if empty:
        raise DataError(
            f"{empty} of {found.mels} mel filters lie between two frequencies of the spectrum.",
            where="data.features.mels",
            fix="take fewer mels or a longer window_ms",
        )
    return found


def decode(content: bytes, name: str) -> tuple[int, int, NDArray[np.float32]]:
    """Rate in Hz, channels, and samples (N,) within -1..1, channels averaged, of a file's content.

    Raises:
        ValueError: it is no such recording, or has no samples.
    """
    rate, values = _wav(content) if name.lower().endswith(WAV) else _soundfile(content)
    if values.dtype.kind == "u":
        values = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        values = values.astype(np.float32) / np.float32(2 ** (8 * values.dtype.itemsize - 1))
    channels = 1 if values.ndim == 1 else values.shape[1]
    mono = values.astype(np.float32).reshape(len(values), channels).mean(1)
    if not LEAST_RATE <= rate <= MOST_RATE:
        raise ValueError(f"it claims a rate of {rate} Hz")
    if not len(mono):
        raise ValueError("it has 0 samples")
    if not np.isfinite(mono).all():
        raise ValueError("a sample is not finite")
    return int(rate), channels, mono


def features(mono: NDArray[np.float32], rate: int, spec: SoundSpec) -> NDArray[np.float32]:
    """Log-mel features (1, frames, mels) of samples (N,) of any rate.

    log(1e-9 + filters @ |FFT(hann * frame)|^2 / sum(hann)^2), natural logarithm; power of a full
    scale sine is 1/4. Hann is periodic, as of scipy.signal.get_window.
    """
    fitted = fit(resample(mono, rate, spec.rate), spec.samples)
    frames = np.lib.stride_tricks.sliding_window_view(fitted, spec.window)[:: spec.hop]
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(spec.window) / spec.window)
    spectrum = np.fft.rfft(frames * window, fft_length(spec))
    power = np.square(np.abs(spectrum)) / window.sum() ** 2
    return np.log(LEAST_ENERGY + power @ filters(spec))[None].astype(np.float32)


def resample(mono: NDArray[np.float32], rate: int, wanted: int) -> NDArray[np.float32]:
    """Samples at another rate, by scipy's polyphase filter."""
    if rate == wanted:
        return mono
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, wanted)
    return resample_poly(mono, wanted // divisor, rate // divisor).astype(np.float32)


def fit(mono: NDArray[np.float32], count: int) -> NDArray[np.float32]:
    """Exactly `count` samples: cut at the end, or silence on both sides."""
    if len(mono) >= count:
        return mono[:count]
    before = (count - len(mono)) // 2
    return np.pad(mono, (before, count - len(mono) - before))


def fft_length(spec: SoundSpec) -> int:
    """The next power of two from the window's length on."""
    return 1 << (spec.window - 1).bit_length()


def filters(spec: SoundSpec) -> NDArray[np.float64]:
    """Triangles (bins, mels) of height 1 on HTK's scale, mel = 2595 log10(1 + f / 700): the HTK
    Book (Young et al.), section 5.4, after O'Shaughnessy 1987.
    """
    return _filters(spec.rate, fft_length(spec), spec.mels, spec.low_hz, spec.high_hz)


@cache
def _filters(
    rate: int, length: int, mels: int, low_hz: float, high_hz: float
) -> NDArray[np.float64]:
    edges = np.linspace(mel(low_hz), mel(high_hz), mels + 2)
    hertz = 700 * (10 ** (edges / 2595) - 1)
    bins = np.arange(length // 2 + 1) * rate / length
    left, centre, right = hertz[:-2], hertz[1:-1], hertz[2:]
    rising = (bins[:, None] - left) / (centre - left)
    falling = (right - bins[:, None]) / (right - centre)
    banks = np.maximum(0, np.minimum(rising, falling))
    banks.flags.writeable = False
    return banks


def mel(hertz: float) -> float:
    """HTK's mel of a frequency."""
    return 2595 * math.log10(1 + hertz / 700)


def _wav(content: bytes) -> tuple[int, NDArray]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", wavfile.WavFileWarning)
            warnings.filterwarnings("ignore", message="Chunk .non-data.")
            return wavfile.read(io.BytesIO(content))
    except wavfile.WavFileWarning as warning:
        raise ValueError(str(warning)) from warning
    except (ValueError, EOFError, OSError, KeyError, IndexError) as error:
        raise ValueError(str(error) or "not a whole WAV file") from error
    except Exception as error:  # struct.error, ZeroDivisionError: scipy does not say which
        raise ValueError(f"{type(error).__name__}: {error}") from error


def _soundfile(content: bytes) -> tuple[int, NDArray]:
    try:
        import soundfile  # type: ignore[import-not-found]
    except ImportError as error:
        raise ValueError("only WAV is read without soundfile: pip install soundfile") from error
    try:
        values, rate = soundfile.read(io.BytesIO(content), dtype="float32")
    except RuntimeError as error:  # soundfile.LibsndfileError is one
        raise ValueError(str(error)) from error
    return rate, values
