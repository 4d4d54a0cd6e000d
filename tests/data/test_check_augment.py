"""Variations that the samples cannot have are refused before anything is trained."""

from __future__ import annotations

import pytest

from edgekd.config.data import Augment
from edgekd.data.check_augment import check_augment
from edgekd.errors import DataError
from edgekd.spec import InputSpec


def image(channels: int = 3, peak: float | None = 255) -> InputSpec:
    each = (1.0,) * channels
    return InputSpec(kind="image", shape=(channels, 20, 30), mean=each, std=each, peak=peak)


AUDIO = InputSpec(kind="audio", shape=(1, 40, 16), mean=(0.0,), std=(1.0,))
SERIES = InputSpec(kind="series", shape=(3, 64), mean=(0.0,) * 3, std=(1.0,) * 3)
ROW = InputSpec(kind="row", shape=(9,), mean=(0.0,) * 9, std=(1.0,) * 9)


@pytest.mark.parametrize(
    ("spec", "augment", "words"),
    [
        (ROW, {"flip": True}, ("Only images", "rows of 9 numbers", "mixup")),
        (ROW, {"cutmix": 1}, ("Only images",)),
        (ROW, {"noise": 0.1}, ("Only recordings", "rows of 9 numbers")),
        (AUDIO, {"erase": 3}, ("Only images", "time_shift")),
        (image(), {"gain": 3}, ("Only recordings", "rand_augment")),
        (image(), {"shift": 1, "gain": 3}, ("are mixed",)),
        (image(), {"shift": 20}, ("data.augment.shift", "20 x 30")),
        (image(), {"erase": 25}, ("data.augment.erase",)),
        (AUDIO, {"mask_frequency": 16}, ("data.augment.mask_frequency", "40 x 16")),
        (AUDIO, {"time_shift": 40}, ("data.augment.time_shift",)),
        (SERIES, {"flip": True}, ("Only images", "windows of a signal", "time_shift, gain")),
        (SERIES, {"mask_frequency": 2}, ("no frequencies", "mask_time")),
        (SERIES, {"time_shift": 64}, ("data.augment.time_shift", "windows of 64")),
        (image(peak=None), {"rand_augment": 1}, ("black and white", "uint8")),
        (image(1), {"saturation": 0.2}, ("1 channels have no saturation",)),
    ],
)
def test_refused(spec: InputSpec, augment: dict, words: tuple[str, ...]) -> None:
    with pytest.raises(DataError) as caught:
        check_augment(Augment.model_validate(augment), spec)
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "augment"),
    [
        (ROW, {"mixup": 0.2}),
        (AUDIO, {"mixup": 0.2, "gain": 6, "mask_frequency": 15}),
        (SERIES, {"time_shift": 63, "gain": 2, "noise": 0.1, "mask_time": 8, "mixup": 0.2}),
        (image(1), {"brightness": 0.3, "rand_augment": 2, "cutmix": 1, "erase": 19}),
        (image(peak=None), {"shift": 4, "flip": True, "mixup": 0.1}),
        (ROW, {}),
    ],
)
def test_accepted(spec: InputSpec, augment: dict) -> None:
    check_augment(Augment.model_validate(augment), spec)
