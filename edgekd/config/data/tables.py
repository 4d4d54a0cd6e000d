"""Settings of the sources that are tables."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from edgekd.config.base import Settings
from edgekd.config.data.augment import Augment


class TableData(Settings):
    """A table: CSV with a first line of names, or Parquet, or one that scikit-learn has.

    Numeric columns are standardised, and a missing value is the column's mean. Categorical columns
    become codes: 0 is every value that the training rows do not have often enough, or missing.
    """

    source: Literal["table"] = "table"
    root: Path | None = None
    """The folder that `path` starts from, for `--set data.root=DIR`; left out, it is the pipeline
    file's folder."""
    path: Path | None = None
    """The .csv or .parquet file."""
    sklearn: Literal["breast_cancer", "wine", "iris", "diabetes"] | None = None
    """One of scikit-learn's tables, instead of `path`."""
    label: tuple[str, ...] = ()
    """The column that is to be told, or several: of a regression, or zeros and ones of labels.
    scikit-learn's tables have theirs."""
    numeric: tuple[str, ...] = ()
    """Columns of numbers. Other columns are looked at: those whose values are numbers are."""
    categorical: tuple[str, ...] = ()
    """Columns of categories, such as numbers that are codes."""
    drop: tuple[str, ...] = ()
    """Columns to leave out, such as a row's number."""
    group: str | None = None
    """A column, such as a customer, of which rows with one value stay on one side of every split;
    it is not an input."""
    min_count: PositiveInt = 2
    """Categories with fewer training rows have code 0, which so is learnt, too."""
    max_categories: PositiveInt = 1000
    """Of a column with more categories, the rarest have code 0."""
    test_file: Path | None = None
    """A second file with the test rows; it starts where `path` does."""
    task: Literal["auto", "classification", "binary", "multilabel", "regression"] = "auto"
    """What the label is; `auto` takes text and up to 20 different whole numbers for classes."""
    labels: tuple[str, ...] | None = None
    """Names of the classes in their order, of a binary task the positive one second."""
    validation: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of the training rows that becomes the validation set."""
    test: Annotated[float, Field(gt=0, lt=0.5)] = 0.15
    """Share of all rows that becomes the test set, without `test_file`."""
    split_seed: NonNegativeInt = 0
    """Seed of the splits, apart from the run's seed."""
    augment: Augment = Augment()
    """Only `mixup`, and only where all columns are numeric."""

    @field_validator("label", "numeric", "categorical", "drop", mode="before")
    @classmethod
    def _one_name(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_source(self) -> TableData:
        if (self.path is None) == (self.sklearn is None):
            raise ValueError("give either `path` or `sklearn`")
        if self.path is not None and not self.label:
            raise ValueError("`label` names the column that is to be told")
        return self

    def location(self, base: Path, path: Path) -> Path:
        """Where one of the files is; `base` is the pipeline file's folder."""
        start = base if self.root is None else Path.cwd() / self.root.expanduser()
        return start / path
