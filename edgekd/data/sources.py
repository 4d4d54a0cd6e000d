"""Where data comes from: one function for every source."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.data import Augment, DataSettings, DigitsData, NpzData
from edgekd.data import digits, folders, npz
from edgekd.data.dataset import Dataset
from edgekd.errors import DataError
from edgekd.spec import InputSpec


def load_source(settings: DataSettings, base: Path) -> Dataset:
    """The data set that the settings name; relative paths start at `base`.

    Raises:
        DataError: the data cannot be used, or `augment` does not suit it.
    """
    if isinstance(settings, DigitsData):
        dataset = digits.load()
    elif isinstance(settings, NpzData):
        dataset = npz.load(settings, base)
    else:
        dataset = folders.load(settings, base)
    check_augment(settings.augment, dataset.spec)
    return dataset


def source_fingerprint(settings: DataSettings, base: Path) -> str:
    """SHA-256 of what the data is made from, hexadecimal, without reading it as data.

    Raises:
        DataError: the file is missing.
    """
    if isinstance(settings, DigitsData):
        return digits.source_fingerprint()
    if isinstance(settings, NpzData):
        return npz.source_fingerprint(settings, base)
    return folders.source_fingerprint(settings, base)


def check_augment(augment: Augment, spec: InputSpec) -> None:
    """Refuses variations that the samples cannot have.

    Raises:
        DataError: rows are to be shifted or mirrored, or a shift leaves nothing of the image.
    """
    if not augment.active:
        return
    if augment.of_audio:
        _check_sound(augment, spec)
        return
    if spec.kind != "image":
        what = "recordings" if spec.kind == "audio" else f"rows of {spec.shape[0]} numbers"
        raise DataError(
            "Only images can be shifted or mirrored.",
            where=f"data.augment; the samples are {what}",
            fix="take time_shift, noise, mask_time and mask_frequency"
            if spec.kind == "audio"
            else "remove data.augment",
        )
    side = min(spec.shape[1:])
    if augment.shift >= side:
        raise DataError(
            f"A shift of {augment.shift} pixels moves images of {side} pixels out of sight.",
            where="data.augment.shift",
            fix=f"an eighth of the side is customary: {max(1, side // 8)}",
        )


def _check_sound(augment: Augment, spec: InputSpec) -> None:
    if spec.kind != "audio" or augment.of_images:
        raise DataError(
            "Only recordings can be moved in time, made noisy or masked, and only images can be "
            "shifted or mirrored.",
            where=f"data.augment; the samples are of the kind {spec.kind}",
            fix="images have shift and flip; recordings time_shift, noise, mask_time, "
            "mask_frequency",
        )
    frames, mels = spec.shape[1:]
    for field, value, length in (
        ("time_shift", augment.time_shift, frames),
        ("mask_time", augment.mask_time, frames),
        ("mask_frequency", augment.mask_frequency, mels),
    ):
        if value >= length:
            raise DataError(
                f"{value} leaves nothing of features of {frames} frames and {mels} mels.",
                where=f"data.augment.{field}",
                fix=f"a tenth is customary: {max(1, length // 10)}",
            )
