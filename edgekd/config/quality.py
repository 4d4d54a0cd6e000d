"""What the quality stage looks at: calibration, and how the deployed files bear a shift."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

from edgekd.config.base import Settings

Positive = tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...]
Signed = tuple[Annotated[float, Field(allow_inf_nan=False)], ...]
Share = tuple[Annotated[float, Field(gt=0, le=1)], ...]
SignedShare = tuple[Annotated[float, Field(ge=-1, le=1)], ...]


class ImageShifts(Settings):
    """Shifts of pictures; values stay within black and white. An empty list leaves one out."""

    noise: Share = (0.05, 0.1, 0.2)
    """Deviations of Gaussian noise on every value, as shares of the range from black to white."""
    blur: Positive = (0.5, 1.0, 1.5)
    """Deviations of a Gaussian blur, in pixels."""
    brightness: SignedShare = (-0.3, -0.15, 0.15, 0.3)
    """Added to every value, as shares of the range: darker and brighter."""
    contrast: Share = (0.3, 0.6, 0.8)
    """Shares of the contrast that are lost: values move so far towards their picture's mean."""


class AudioShifts(Settings):
    """Shifts of recordings. An empty list leaves one out."""

    noise: Signed = (20.0, 10.0, 0.0)
    """White noise, as its ratio of signal to noise in dB within the mel filters' band."""
    gain: Signed = (-20.0, -10.0, 10.0)
    """Louder or quieter, in dB."""


class RowShifts(Settings):
    """Shifts of rows and series of numbers."""

    noise: Positive = (0.1, 0.25, 0.5)
    """Deviations of Gaussian noise, in units of each feature's own deviation in training."""


class QualitySettings(Settings):
    """Calibration and robustness of the deployed files. `quality: false` leaves them out."""

    samples: PositiveInt = 2000
    """Test samples that are looked at, at most: a seeded choice if there are more."""
    seconds: PositiveFloat = 120.0
    """About how long it may take; a slow model is asked about fewer samples, but at least 100."""
    images: ImageShifts = ImageShifts()
    """How pictures are shifted."""
    audio: AudioShifts = AudioShifts()
    """How recordings are shifted."""
    rows: RowShifts = RowShifts()
    """How rows and series of numbers are shifted."""
