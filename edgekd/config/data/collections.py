"""Settings of sources that other libraries bring: Hugging Face's datasets and torchvision's."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

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


class TorchvisionData(Pictured):
    """A data set of torchvision that has a training and a test part of pictures."""

    source: Literal["torchvision"] = "torchvision"
    name: Literal["MNIST", "FashionMNIST", "KMNIST", "CIFAR10", "CIFAR100"]
    """Its class in torchvision.datasets."""
