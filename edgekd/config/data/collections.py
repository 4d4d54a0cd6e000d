"""Settings of collections in others' forms: Hugging Face's datasets, torchvision's, WebDataset."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import PositiveInt, field_validator, model_validator

from edgekd.config.data.arrays import Arrays


class Pictured(Arrays):
    """What collections of pictures have in common."""

    size: tuple[PositiveInt, PositiveInt] | None = None
    """[height, width] of pictures; left out, all must have one size."""
    resize: Literal["stretch", "crop"] = "stretch"
    """`stretch` alters the aspect ratio; `crop` keeps it and cuts the middle out."""


class HuggingFaceData(Pictured):
    """A data set of the Hugging Face Hub, or a folder that its library `datasets` reads."""

    source: Literal["huggingface"] = "huggingface"
    name: str
    """On the Hub, such as `mnist`; or a folder of Parquet, CSV or JSON files, relative to the
    pipeline file's folder, written with a `./` in front."""
    configuration: str | None = None
    """Of a data set that has several."""
    revision: str | None = None
    """Branch, tag or commit on the Hub. Name a commit: then the same data is read every time, and
    nothing is asked of the Hub once it is here."""
    x: str | None = None
    """Column of the samples: pictures, lists of numbers, or numbers; left out, the only column of
    pictures."""
    y: str | None = None
    """Column of the targets; left out, `label`, `labels` or `target`."""
    streaming: bool = False
    """Read the samples from the Hub as they come, without keeping the files: for what is larger
    than the disk, as long as `size` makes it small. The data is the same."""


class TorchvisionData(Pictured):
    """A data set of torchvision that has a training and a test part of pictures."""

    source: Literal["torchvision"] = "torchvision"
    name: Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100"]
    """Its class in torchvision.datasets."""


class WebDatasetData(Pictured):
    """Shards of samples as WebDataset has them: .tar files in which a sample is a few members of
    one name, one after the other, such as 0001.jpg and 0001.cls. They are read from a folder or
    over HTTP as a stream.

    Shards with train, val (or valid, validation) or test in their name or folder are these parts;
    parts that are missing are split off, seeded and stratified by class.
    """

    source: Literal["webdataset"] = "webdataset"
    root: Path | None = None
    """The folder that `path` starts from, for `--set data.root=DIR`; left out, it is the pipeline
    file's folder."""
    path: Path | None = None
    """A folder of .tar files, or one of them."""
    url: tuple[str, ...] = ()
    """Instead of `path`: the shards' addresses, http or https; `{000..099}` in one stands for as
    many."""
    x: str | None = None
    """Ending of the members that are samples, without its first dot: pictures such as `jpg` and
    `png`, or arrays, `npy`; left out, the only such ending there is."""
    y: str | None = None
    """Ending of the targets: `cls` or `txt`, a number or a text; `json`, a number, a text, a list,
    or a dictionary with `label`, `labels`, `target` or `cls`; `npy`. Left out, `cls`, else
    `json`."""

    @field_validator("url", mode="before")
    @classmethod
    def _one_address(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("url")
    @classmethod
    def _http(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for url in value:
            if not url.startswith(("http://", "https://")):
                raise ValueError("shards are read over http:// or https://; `path` takes a folder")
        return value

    @model_validator(mode="after")
    def _one_place(self) -> WebDatasetData:
        if (self.path is None) == (not self.url):
            raise ValueError("give either `path` or `url`")
        return self

    def location(self, base: Path) -> Path | None:
        """Where the shards are, if they are files; `base` is the pipeline file's folder."""
        if self.path is None:
            return None
        start = base if self.root is None else Path.cwd() / self.root.expanduser()
        return start / self.path
