"""Settings of the variations of training samples."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveInt

from edgekd.config.base import Settings

Share = Annotated[float, Field(ge=0, le=1)]


class Augment(Settings):
    """Variations of training samples, applied to whole batches: of images `shift` to `erase` and
    `cutmix`; of recordings' features `time_shift` to `mask_frequency`, and of signals those but the
    last; of all, `mixup`.
    """

    shift: NonNegativeInt = 0
    """Images are moved by up to this many pixels each way; what is uncovered is the mean colour:
    a random crop of the padded image."""
    flip: bool = False
    """Half of the images are mirrored left to right."""
    flip_vertical: bool = False
    """Half of the images are turned upside down, for pictures that have no upside."""
    brightness: Share = 0.0
    """Pixels are multiplied by 1 - this to 1 + this."""
    contrast: Share = 0.0
    """The distance of pixels from the image's mean grey is multiplied by 1 - this to 1 + this."""
    saturation: Share = 0.0
    """The distance of pixels from their grey is multiplied by 1 - this to 1 + this."""
    rand_augment: NonNegativeInt = 0
    """So many operations an image, drawn from RandAugment's fourteen (Cubuk et al. 2020)."""
    magnitude: Share = 0.3
    """Strength of `rand_augment`, from 0 to 1; 0.3 is 9 on the paper's scale of 30."""
    erase: NonNegativeInt = 0
    """Side in pixels of a square that becomes the mean colour: Cutout (DeVries and Taylor 2017)."""
    time_shift: NonNegativeInt = 0
    """Recordings are moved by up to this many frames each way, signals by so many steps; what is
    uncovered is the mean."""
    gain: NonNegativeFloat = 0.0
    """Recordings are made louder or softer by up to this many dB; of signals, the distance from
    each channel's mean is."""
    noise: NonNegativeFloat = 0.0
    """Deviation of the Gaussian noise added to features or channels, which have a deviation of
    1."""
    mask_time: NonNegativeInt = 0
    """Up to this many frames (or steps) in a row become the mean: SpecAugment (Park et al.
    2019)."""
    mask_frequency: NonNegativeInt = 0
    """Up to this many neighbouring mel bands become the mean: SpecAugment."""
    mixup: NonNegativeFloat = 0.0
    """Alpha of mixup (Zhang et al. 2018): samples and targets are averaged with another sample's,
    with a weight from Beta(alpha, alpha). 0.2 is customary."""
    cutmix: NonNegativeFloat = 0.0
    """Alpha of CutMix (Yun et al. 2019): a rectangle of another image is pasted in, and the target
    is mixed by its area. 1 is customary. With `mixup`, half of the samples have either."""
    views: PositiveInt = 8
    """How many variations of each sample exist. Epoch e trains on view e modulo `views`, and the
    soft-label cache holds the teacher's answer to every view, so the two always belong together.
    View 0 is the sample itself; without any variation there is no other."""

    @property
    def active(self) -> bool:
        """Whether any variation is asked for."""
        return self.of_images or self.of_audio or self.mixes

    @property
    def of_images(self) -> bool:
        """Whether a variation is asked for that only images have."""
        moved = self.shift > 0 or self.flip or self.flip_vertical
        return moved or self.colours or self.erase > 0 or self.cutmix > 0

    @property
    def colours(self) -> bool:
        """Whether pixels' values are varied, for which their scale must be known."""
        return max(self.brightness, self.contrast, self.saturation, self.rand_augment) > 0

    @property
    def of_audio(self) -> bool:
        """Whether a variation is asked for that only recordings and signals have."""
        return max(self.time_shift, self.gain, self.noise, self.mask_time, self.mask_frequency) > 0

    @property
    def mixes(self) -> bool:
        """Whether samples are mixed with others."""
        return max(self.mixup, self.cutmix) > 0

    @property
    def view_count(self) -> int:
        """Number of distinct views of a sample."""
        return self.views if self.active else 1
