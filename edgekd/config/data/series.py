"""Settings of the source of signals: windows of several channels over time."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from edgekd.config.base import Settings
from edgekd.config.data.augment import Augment


class SeriesData(Settings):
    """A signal of several channels, in windows (C, T): CSV or Parquet with a column a channel and
    a row a step, in the order of time; or an .npz file of windows; or a signal that edgekd makes.
    """

    source: Literal["series"] = "series"
    root: Path | None = None
    """The folder that `path` starts from, for `--set data.root=DIR`; left out, it is the pipeline
    file's folder."""
    path: Path | None = None
    """The .csv, .parquet or .npz file. An .npz file has windows already: arrays named as with
    `source: npz`, `x` of three axes."""
    builtin: Literal["vibration"] | None = None
    """A synthetic signal instead of `path`: the vibration of machines in four states."""
    layout: Literal["NCT", "NTC"] = "NCT"
    """Of an .npz file: (windows, channels, steps), or (windows, steps, channels)."""
    channels: tuple[str, ...] = ()
    """Columns of the channels, in the order that the network gets them; left out, all columns but
    `label`, `group` and `drop`."""
    label: tuple[str, ...] = ()
    """The column that is to be told, with a value at each step; or several: of a regression, or
    zeros and ones of labels."""
    label_of: Literal["majority", "last"] = "majority"
    """What a window's label is: what most of its steps have (of equals, the latest; of a
    regression, the mean), or what its last step has."""
    group: str | None = None
    """A column (of an .npz file, an array), such as a machine or a person: its windows stay on one
    side of every split, and no window holds steps of two."""
    drop: tuple[str, ...] = ()
    """Columns to leave out, such as the time."""
    window: PositiveInt = 128
    """Steps of a window, T; an .npz file has its own."""
    stride: PositiveInt | None = None
    """Steps from a window's start to the next one's; left out, half a window."""
    test_file: Path | None = None
    """A second .csv or .parquet file, of which all windows are the test set; it starts where `path`
    does."""
    task: Literal["auto", "classification", "binary", "multilabel", "regression"] = "auto"
    """What the label is; `auto` takes text and up to 20 different whole numbers for classes."""
    labels: tuple[str, ...] | None = None
    """Names of the classes in their order, of a binary task the positive one second."""
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of the training steps that becomes the validation set."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of all steps that becomes the test set, without `test_file`."""
    split_seed: NonNegativeInt = 0
    """Seed of the splits, apart from the run's seed."""
    augment: Augment = Augment()
    """Variations of training windows: `time_shift`, `gain`, `noise`, `mask_time` and `mixup`."""

    @field_validator("label", "channels", "drop", mode="before")
    @classmethod
    def _one_name(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> SeriesData:
        if (self.path is None) == (self.builtin is None):
            raise ValueError("give either `path` or `builtin`")
        if self.path is not None and not self.label and not self.of_windows:
            raise ValueError("`label` names the column that is to be told")
        if self.test_file is not None and (self.path is None or self.of_windows):
            raise ValueError("`test_file` belongs to a .csv or .parquet file in `path`")
        if self.stride is not None and self.stride > self.window:
            raise ValueError("a `stride` above `window` would leave steps out")
        return self

    @property
    def of_windows(self) -> bool:
        """Whether the file has windows already."""
        return self.path is not None and self.path.suffix.lower() == ".npz"

    @property
    def step(self) -> int:
        """The stride in use."""
        return self.stride or max(1, self.window // 2)

    def location(self, base: Path, path: Path) -> Path:
        """Where one of the files is; `base` is the pipeline file's folder."""
        start = base if self.root is None else Path.cwd() / self.root.expanduser()
        return start / path
