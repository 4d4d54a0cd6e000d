"""Whether the samples can have the variations that are asked for."""

from __future__ import annotations

from edgekd.config.data import Augment
from edgekd.errors import DataError
from edgekd.spec import Inputs, InputSpec, NamedInputs

IMAGES = (
    "shift, flip, flip_vertical, brightness, contrast, saturation, rand_augment, erase, mixup, "
    "cutmix"
)
AUDIO = "time_shift, gain, noise, mask_time, mask_frequency, mixup"
SERIES = "time_shift, gain, noise, mask_time, mixup"


def check_augment(augment: Augment, spec: Inputs) -> None:
    """Refuses variations that the samples cannot have.

    Raises:
        DataError: rows are to be shifted or mirrored, a shift leaves nothing of the image, colours
            are to be varied that the image does not have, and the like.
    """
    if isinstance(spec, NamedInputs):
        if augment.active:
            raise DataError(
                "Samples of several inputs cannot be varied.",
                where="data.augment",
                fix="remove data.augment",
            )
        return
    if augment.of_audio and augment.of_images:
        raise DataError(
            "Variations of images and of recordings are mixed.",
            where=f"data.augment; the samples are of the kind {spec.kind}",
            fix=f"images have {IMAGES}; recordings {AUDIO}; a signal {SERIES}",
        )
    if augment.of_images:
        _check_kind("image", spec, "Only images can be shifted, mirrored, recoloured or erased.")
        _check_lengths(augment, spec, ("shift", "erase"), min(spec.shape[1:]), "images")
        if augment.colours:
            _check_colours(augment, spec)
    if augment.of_audio and spec.kind == "series":
        _check_series(augment, spec)
    elif augment.of_audio:
        _check_kind(
            "audio", spec, "Only recordings and signals can be moved in time, made noisy or masked."
        )
        frames, mels = spec.shape[1:]
        _check_lengths(augment, spec, ("time_shift", "mask_time"), frames, "features")
        _check_lengths(augment, spec, ("mask_frequency",), mels, "features")


def _check_series(augment: Augment, spec: InputSpec) -> None:
    if augment.mask_frequency:
        raise DataError(
            "A signal over time has no frequencies to mask.",
            where="data.augment.mask_frequency",
            fix=f"take {SERIES}",
        )
    _check_lengths(augment, spec, ("time_shift", "mask_time"), spec.shape[1], "windows")


def _check_kind(kind: str, spec: InputSpec, what: str) -> None:
    if spec.kind == kind:
        return
    found = {
        "audio": "recordings",
        "row": f"rows of {spec.shape[0]} numbers",
        "series": "windows of a signal",
    }
    takes = {"audio": f"take {AUDIO}", "image": f"take {IMAGES}", "series": f"take {SERIES}"}
    raise DataError(
        what,
        where=f"data.augment; the samples are {found.get(spec.kind, f'of the kind {spec.kind}')}",
        fix=takes.get(spec.kind, "remove data.augment, or take mixup"),
    )


def _check_lengths(
    augment: Augment, spec: InputSpec, fields: tuple[str, ...], length: int, what: str
) -> None:
    for field in fields:
        value = getattr(augment, field)
        if value >= length:
            raise DataError(
                f"A {field} of {value} leaves nothing of {what} of "
                f"{' x '.join(map(str, spec.shape[1:]))}.",
                where=f"data.augment.{field}",
                fix=f"an eighth of the length is customary: {max(1, length // 8)}",
            )


def _check_colours(augment: Augment, spec: InputSpec) -> None:
    if spec.peak is None:
        raise DataError(
            "Colours cannot be varied: these images have negative values or fractions, so that it "
            "is not known what black and white are.",
            where="data.augment",
            fix="save the images as they were, uint8 from 0 to 255, or leave brightness, contrast, "
            "saturation and rand_augment out",
        )
    if augment.saturation and spec.shape[0] != 3:
        raise DataError(
            f"Images of {spec.shape[0]} channels have no saturation.",
            where="data.augment.saturation",
            fix="leave it out",
        )
