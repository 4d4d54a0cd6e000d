"""The class of a bundle in a typed language: what reads its argument, and what it gives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from edgekd.package.asked import asked_of
from edgekd.spec import ModelSpec

Reader = Literal["Pictures", "Sounds", "Windows", "Rows", "Several", "Numbers"]
"""The class, in Java and in Swift alike, that makes raw samples of the argument."""
Answer = Literal["categories", "number", "numbers"]
READERS: Mapping[str, Reader] = {
    "pixels": "Pictures",
    "samples": "Sounds",
    "row": "Rows",
    "several": "Several",
    "values": "Numbers",
}
"""By `Asked.kind`."""
TAKES: Mapping[Reader, tuple[str, str]] = {
    "Pictures": ("image", "a picture of any size; its alpha is left out"),
    "Sounds": ("samples", "within -1 to 1, one channel, at the model's rate"),
    "Windows": ("window", "the channels, each with its steps in time"),
    "Rows": ("row", "a value for each column; null where it is not known"),
    "Several": ("values", "the numbers of each input, by name"),
    "Numbers": ("numbers", "in the training data's units, channels first"),
}
"""The argument's name, and what it is."""
GIVES: Mapping[Answer, str] = {
    "categories": "all labels, best first",
    "number": "the number, in the target's units",
    "numbers": "the numbers by target",
}


@dataclass(frozen=True)
class Facade:
    """What the model takes, by what reads it, and what it gives."""

    reader: Reader
    answer: Answer


FACADES = tuple(
    Facade(reader, answer) for reader in get_args(Reader) for answer in get_args(Answer)
)


def facade_of(model: ModelSpec) -> Facade:
    """The facade of a model."""
    part = model.input.inputs[0]
    reader = READERS[asked_of(model).kind]
    if reader == "Numbers" and part.kind == "series":
        reader = "Windows"
    if model.task != "regression":
        return Facade(reader, "categories")
    return Facade(reader, "number" if len(model.labels) == 1 else "numbers")


def one_line(text: str) -> str:
    """As a comment can hold it: whatever it says, the line stays one and the comment open."""
    return " ".join(text.replace("\\", "/").replace("*/", "* /").split())
