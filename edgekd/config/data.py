"""Settings of the data stage: where samples come from and how they are varied."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

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


class DigitsData(Settings):
    """scikit-learn's 1,797 handwritten digits, 8 x 8 grey; the split is part of edgekd."""

    source: Literal["digits"] = "digits"
    augment: Augment = Augment()
    """Variations of training images."""


class NpzData(Settings):
    """An .npz file with the arrays `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test` and,
    where they exist, `x_val`, `y_val`.

    Images are (N, H, W) or (N, H, W, C) or (N, C, H, W); rows are (N, F). Labels are whole numbers
    or strings. Parts that are missing are split off, seeded and stratified by class.
    """

    source: Literal["npz"] = "npz"
    path: Path
    """The file; a relative path starts at the pipeline file's folder."""
    layout: Literal["auto", "NHWC", "NCHW"] = "auto"
    """Where the channels are in 4-D images; `auto` takes the axis of 1, 3 or 4."""
    labels: tuple[str, ...] | None = None
    """Names of the classes in their numbers' order; the numbers themselves if left out."""
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of the training samples that becomes the validation set, if the file has none."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of all samples that becomes the test set, if the file has none."""
    split_seed: NonNegativeInt = 0
    """Seed of the splits; it is apart from the run's seed so that `seeds: N` compares like with
    like."""
    augment: Augment = Augment()
    """Variations of training images."""


class FolderData(Settings):
    """What folders of pictures and of sounds have in common."""

    path: Path
    """The folder or a .zip of it; a relative path starts at the pipeline file's folder."""
    skip_broken: bool = False
    """Leave files out that cannot be read, and say so; otherwise they stop the run."""
    allow_duplicates: bool = False
    """Go on, with a warning, where the same file stands in the training and the test folder."""
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    """Share of the training samples that becomes the validation set, if there is no such folder."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of all samples that becomes the test set, if the source names none."""
    split_seed: NonNegativeInt = 0
    """Seed of the splits, apart from the run's seed."""
    augment: Augment = Augment()
    """Variations of training samples."""


class ImageFolderData(FolderData):
    """A folder (or .zip) of pictures: train/CLASS/..., test/CLASS/... and, where there is one,
    val/CLASS/...; or CLASS/... alone, of which the parts are split off, seeded and stratified.
    """

    source: Literal["image_folder"] = "image_folder"
    size: tuple[PositiveInt, PositiveInt] | None = None
    """[height, width] of the samples; left out, all pictures must have one size."""
    resize: Literal["stretch", "crop"] = "stretch"
    """`stretch` alters the aspect ratio; `crop` keeps it and cuts the middle out."""
    channels: Literal["auto", 1, 3] = "auto"
    """Grey or colour; `auto` takes colour when any picture has it."""


class Features(Settings):
    """Log-mel features."""

    mels: PositiveInt = 40
    """Triangular filters, evenly spaced on HTK's mel scale."""
    window_ms: Annotated[float, Field(gt=0)] = 32
    """Length of a frame (a Hann window)."""
    hop_ms: Annotated[float, Field(gt=0)] = 20
    """From the start of a frame to the next."""
    low_hz: Annotated[float, Field(ge=0)] = 20
    """Where the lowest filter starts."""
    high_hz: Annotated[float, Field(gt=0)] | None = None
    """Where the highest filter ends; half the sampling rate if left out."""


class AudioFolderData(FolderData):
    """A folder (or .zip) of recordings, as log-mel features (1, frames, mels).

    The class is the folder's name, or what `label` finds in the file's name. Folders named train,
    val and test are the parts, as with pictures.
    """

    source: Literal["audio_folder"] = "audio_folder"
    seconds: Annotated[float, Field(gt=0, le=60)] = 1.0
    """Longer recordings are cut at their end, shorter ones padded with silence on both sides."""
    rate: PositiveInt | None = None
    """Sampling rate in Hz that all recordings are brought to; the commonest one if left out."""
    features: Features = Features()
    """How the features are computed; it travels with the model."""
    label: str | None = None
    """Regular expression searched in the file's name; its first group is the class."""
    group: str | None = None
    """Regular expression searched in the file's path; recordings with the same first group, such
    as a speaker, stay on one side of every split that edgekd makes."""
    balance: str | None = None
    """Regular expression searched in the file's path; the splits take the same share of each value
    of its first group, such as a speaker, within each class."""
    test_files: str | None = None
    """Regular expression; files whose path it is found in are the test set."""


DataSettings = Annotated[
    DigitsData | NpzData | ImageFolderData | AudioFolderData, Field(discriminator="source")
]
