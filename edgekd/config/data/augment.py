"""Settings of the variations of training samples."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from edgekd.config.base import Settings


class Augment(Settings):
    """Variations of training samples, applied to whole batches in memory: `shift` and `flip` of
    images; `time_shift`, `noise`, `mask_time` and `mask_frequency` of recordings' features.
    """

    shift: NonNegativeInt = 0
    """Images are moved by up to this many pixels each way; what is uncovered is the mean colour."""
    flip: bool = False
    """Half of the images are mirrored left to right."""
    time_shift: NonNegativeInt = 0
    """Recordings are moved by up to this many frames each way; what is uncovered is the mean."""
    noise: Annotated[float, Field(ge=0)] = 0.0
    """Deviation of the Gaussian noise added to features, which have a deviation of 1."""
    mask_time: NonNegativeInt = 0
    """Up to this many frames in a row become the mean: SpecAugment (Park et al. 2019)."""
    mask_frequency: NonNegativeInt = 0
    """Up to this many neighbouring mel bands become the mean: SpecAugment."""
    views: PositiveInt = 8
    """How many variations of each sample exist. Epoch e trains on view e modulo `views`, and the
    soft-label cache holds the teacher's answer to every view, so the two always belong together.
    Without any variation there is one view: the sample itself."""

    @property
    def active(self) -> bool:
        """Whether any variation is asked for."""
        return self.of_images or self.of_audio

    @property
    def of_images(self) -> bool:
        """Whether a variation is asked for that only images have."""
        return self.shift > 0 or self.flip

    @property
    def of_audio(self) -> bool:
        """Whether a variation is asked for that only recordings have."""
        return max(self.time_shift, self.noise, self.mask_time, self.mask_frequency) > 0

    @property
    def view_count(self) -> int:
        """Number of distinct views of a sample."""
        return self.views if self.active else 1
