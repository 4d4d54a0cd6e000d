"""Settings of the sources that are arrays: the digits, and .npz files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt

from edgekd.config.base import Settings
from edgekd.config.data.augment import Augment
from edgekd.config.data.located import Located


class DigitsData(Settings):
    """scikit-learn's 1,797 handwritten digits, 8 x 8 grey; the split is part of edgekd."""

    source: Literal["digits"] = "digits"
    augment: Augment = Augment()
    """Variations of training images."""


class Arrays(Settings):
    """What the sources that give whole arrays have in common.

    Images are (N, H, W) or (N, H, W, C) or (N, C, H, W); rows are (N, F). Targets are whole numbers
    or strings (N,) for classes, zeros and ones (N, L) for several labels, numbers (N,) or (N, T)
    for a regression. Parts that are missing are split off, seeded and stratified by class.
    """

    layout: Literal["auto", "NHWC", "NCHW"] = "auto"
    """Where the channels are in 4-D images; `auto` takes the axis of 1, 3 or 4."""
    task: Literal["auto", "classification", "binary", "multilabel", "regression"] = "auto"
    """What `y` is; `auto` tells it from the array's shape and type."""
    labels: tuple[str, ...] | None = None
    """Names of the classes in their numbers' order, or of the columns of `y`; the numbers
    themselves if left out. The second class of a binary task is the positive one."""
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of the training samples that becomes the validation set, if the source has none."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of all samples that becomes the test set, if the source has none."""
    split_seed: NonNegativeInt = 0
    """Seed of the splits; it is apart from the run's seed so that `seeds: N` compares like with
    like."""
    augment: Augment = Augment()
    """Variations of training samples."""


class NpzData(Located, Arrays):
    """An .npz file with the arrays `x` and `y`, or `x_train`, `y_train`, `x_test`, `y_test` and,
    where they exist, `x_val`, `y_val`.
    """

    source: Literal["npz"] = "npz"
    path: Path
    """The file; a relative path starts at `root`."""


class PythonData(Arrays):
    """Arrays from a function of your own."""

    source: Literal["python"] = "python"
    python: str
    """The function, as "module:function" or "file.py:function". It is called as
    function(**arguments) and returns (x, y), or a mapping of arrays named as in an .npz file."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Its arguments. The function's source and these are what tells one data set from another:
    what it reads is not looked at."""
