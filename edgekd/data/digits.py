"""scikit-learn's 1,797 handwritten digits (Alpaydin and Kaynak 1998, UCI), 8 x 8 grey.

The split is a file of edgekd, `digits_split.json`, so that results of different versions compare.
`make_split` made it: stratified by class, seed 0, 1,077 training, 360 validation and 360 test
samples, so that the 95 % interval of a test accuracy of 98 % is about plus or minus 1.5 points.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.data import DigitsData
from edgekd.data.assemble import assemble
from edgekd.data.dataset import Dataset, Split

SPLIT_FILE = Path(__file__).with_name("digits_split.json")
HELD_OUT = 360
"""Samples of the validation split, and of the test split."""


def load(_settings: DigitsData | None = None, _base: Path | None = None) -> Dataset:
    """The digits: x (N, 1, 8, 8) uint8 from 0 to 16, labels "0" to "9"."""
    x, y = arrays()
    indices = json.loads(SPLIT_FILE.read_text(encoding="utf-8"))
    splits = {
        name: Split(x[index], y[index], np.array(index).astype(np.str_))
        for name, index in indices.items()
    }
    return assemble("digits", splits, tuple("0123456789"))


def source_fingerprint(_settings: DigitsData | None = None, _base: Path | None = None) -> str:
    """SHA-256 of the split file; the samples themselves come with scikit-learn and never change."""
    return hashlib.sha256(SPLIT_FILE.read_bytes()).hexdigest()


def arrays() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """All samples (1797, 1, 8, 8) and their classes (1797,), in scikit-learn's order."""
    from sklearn.datasets import load_digits

    raw: Any = load_digits()
    return raw.images.astype(np.uint8)[:, None], raw.target.astype(np.int64)


def make_split(y: NDArray[np.int64]) -> dict[str, list[int]]:
    """Sorted indices of each split, stratified by the classes `y` (N,), always the same."""
    from sklearn.model_selection import train_test_split

    everything = np.arange(len(y))
    rest, test = train_test_split(everything, test_size=HELD_OUT, stratify=y, random_state=0)
    train, validation = train_test_split(rest, test_size=HELD_OUT, stratify=y[rest], random_state=0)
    parts = {"train": train, "validation": validation, "test": test}
    return {name: np.sort(part).tolist() for name, part in parts.items()}
