"""Settings of folders and .zip files of pictures and of recordings."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from edgekd.config.base import Settings
from edgekd.config.data.augment import Augment
from edgekd.config.data.located import Located


class FolderData(Located):
    """What folders of pictures and of sounds have in common."""

    path: Path
    """The folder or a .zip of it; a relative path starts at `root`."""
    unlabelled: Path | None = None
    """A second folder or .zip, of samples without classes, that the student learns of the teacher
    alone; it starts where `path` does."""
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

    def unlabelled_location(self, base: Path) -> Path | None:
        """Where the samples without classes are; `base` is the pipeline file's folder."""
        if self.unlabelled is None:
            return None
        return self.model_copy(update={"path": self.unlabelled}).location(base)


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
