"""Shifts of raw samples: the changes of light, optics, microphones and sensors that a deployed
model meets and its test set does not hold.

After the idea of Hendrycks and Dietterich 2019 (ImageNet-C), with severities that have units and
stand in the pipeline file instead of their constants. A shift is drawn from (seed, shift, sample):
it is the same for every model, and does not depend on which other samples are looked at.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.quality import QualitySettings
from edgekd.data import sound
from edgekd.spec import Inputs, InputSpec, SoundSpec

BLUR_REACH = 4.0
"""A Gaussian kernel is cut off at so many deviations."""


UNITS: dict[str, tuple[str, ...]] = {
    "image": ("range", "px", "range", "contrast"),
    "audio": ("dB SNR", "dB"),
    "row": ("std",),
    "series": ("std",),
    "codes": (),  # a category has no neighbours that it could be shifted to
}
"""Of the severities of each kind's shifts, in the order of the settings."""


@dataclass(frozen=True)
class Shift:
    """One way in which samples are shifted, and how far."""

    name: str
    """noise, blur, brightness, contrast or gain."""
    severity: float
    unit: str
    """Of the severity: range (a share of black to white), px, contrast (a share that is lost), dB,
    dB SNR, or std (deviations of a feature)."""


@dataclass(frozen=True)
class _Draw:
    """A shift of certain samples, with the randomness that belongs to each of them."""

    index: Sequence[int]
    shift: Shift
    seed: int
    part: str = ""

    def generators(self) -> Iterator[np.random.Generator]:
        """One for each sample. Severities share it: the same noise, only stronger."""
        stream = zlib.crc32(f"{self.shift.name}/{self.part}".encode())
        for i in self.index:
            yield np.random.Generator(np.random.SFC64([self.seed, stream, int(i)]))

    def noise(self, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Standard normal numbers (N, ...)."""
        drawn = np.empty(shape, np.float32)
        for row, generator in zip(drawn, self.generators(), strict=True):
            row[...] = generator.standard_normal(shape[1:], np.float32)
        return drawn


def shifts_for(spec: Inputs, settings: QualitySettings) -> list[Shift]:
    """The shifts of an input in the order of the settings; of several inputs, of all together."""
    return list(dict.fromkeys(shift for part in spec.inputs for shift in _of_part(part, settings)))


def _of_part(spec: InputSpec, settings: QualitySettings) -> list[Shift]:
    if spec.kind == "codes":
        return []
    if spec.kind == "image":
        found = settings.images.model_dump()
    elif spec.kind == "audio":
        found = settings.audio.model_dump()
    else:
        found = settings.rows.model_dump()
    return [
        Shift(name, severity, unit)
        for (name, severities), unit in zip(found.items(), UNITS[spec.kind], strict=True)
        for severity in severities
    ]


def apply(x: Any, index: Sequence[int], spec: Inputs, shift: Shift, seed: int) -> Any:
    """Raw samples (N, *shape) as they are after a shift, in the type of `x`.

    Args:
        x: raw samples; a dictionary of several inputs, of which those stay as they are that have
            no such shift, such as codes of categories.
        index: (N,), where each stands in its split; it decides the noise.
        spec: what `x` is.
        shift: of `shifts_for(spec, ...)`.
        seed: chooses other noise.
    """
    if isinstance(spec, InputSpec):
        return _apply(x, _Draw(index, shift, seed), spec)
    shifted = {}
    for part in spec.inputs:
        raw, draw = x[part.name], _Draw(index, shift, seed, part.name)
        shifted[part.name] = _apply(raw, draw, part) if shift.unit in UNITS[part.kind] else raw
    return shifted


def _apply(x: NDArray[Any], draw: _Draw, spec: InputSpec) -> NDArray[Any]:
    shift = draw.shift
    if spec.sound is not None:
        return _audio(x, draw, spec.sound)
    raw = x.astype(np.float32)
    if spec.kind != "image":
        deviations = np.asarray(spec.std, np.float32).reshape(1, -1, *(1,) * (x.ndim - 2))
        return _back(raw + np.float32(shift.severity) * deviations * draw.noise(x.shape), x)
    low, high = value_range(spec)
    if shift.name == "noise":
        raw += np.float32(shift.severity * (high - low)) * draw.noise(x.shape)
    elif shift.name == "blur":
        raw = blur(raw, shift.severity)
    elif shift.name == "brightness":
        raw += np.float32(shift.severity * (high - low))
    else:
        mean = raw.mean(axis=(1, 2, 3), keepdims=True)
        raw += np.float32(shift.severity) * (mean - raw)
    return _back(raw if spec.peak is None else np.clip(raw, low, high), x)


def value_range(spec: InputSpec) -> tuple[float, float]:
    """Black and white: 0 and the peak. Of images whose peak is not known, 3 deviations of their
    channels to both sides of the mean, and nothing is clipped there.
    """
    if spec.peak is not None:
        return 0.0, spec.peak
    mean, std = np.asarray(spec.mean), np.asarray(spec.std)
    return float((mean - 3 * std).min()), float((mean + 3 * std).max())


def blur(x: NDArray[np.float32], deviation: float) -> NDArray[np.float32]:
    """Images (N, C, H, W) under a Gaussian of that deviation in pixels; edges are mirrored."""
    from scipy.ndimage import gaussian_filter1d

    blurred = x
    for axis in (2, 3):
        blurred = np.asarray(
            gaussian_filter1d(blurred, deviation, axis=axis, mode="reflect", truncate=BLUR_REACH),
            np.float32,
        )
    return blurred


def _back(values: NDArray[np.floating], like: NDArray[Any]) -> NDArray[Any]:
    """In the type of the raw samples: a camera rounds, too."""
    if like.dtype.kind in "iu":
        limits = np.iinfo(like.dtype)
        values = np.clip(np.rint(values), limits.min, limits.max)
    return values.astype(like.dtype)


def _audio(x: NDArray[Any], draw: _Draw, spec: SoundSpec) -> NDArray[Any]:
    """Log-mel features (N, 1, frames, mels) of the same recordings, louder or with noise.

    The recordings themselves are gone, but the features are log(1e-9 + energy), so that the mel
    energies come back exactly. A gain multiplies them, which is exact as well (a recorder that
    clips is not part of it). White noise is drawn as samples and goes through the same frames and
    filters; its energies are added. What that leaves out is the product of signal and noise in
    |signal + noise|^2, which is 0 on average.
    """
    power, factor = _energies(x), 10 ** (draw.shift.severity / 10)
    if draw.shift.name == "gain":
        power *= factor
    else:
        for row, generator in enumerate(draw.generators()):
            samples = generator.standard_normal(spec.samples, np.float32)
            noise = _energies(sound.features(samples, spec.rate, spec))
            power[row] += noise * (power[row].sum() / factor / noise.sum())
    return np.log(sound.LEAST_ENERGY + power).astype(x.dtype)


def _energies(x: NDArray[Any]) -> NDArray[np.float64]:
    """What `sound.features` took the logarithm of."""
    return np.maximum(np.exp(x.astype(np.float64)) - sound.LEAST_ENERGY, 0)
