"""What a bundle, its class and its packages are called: the same in every language."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgekd.errors import ConfigError
from edgekd.spec import InputSpec, ModelSpec

ENDINGS = {"regression": "regressor"}
"""Of the name, by task; the others are classifiers."""
VERSION = re.compile(r"(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})\.(0|[1-9]\d{0,8})")


@dataclass(frozen=True)
class Names:
    """Of the pipeline `spoken-digits`: "spoken-digits-classifier", "spoken_digits_classifier" and
    "SpokenDigitsClassifier", which `asks` by "classify".
    """

    artefact: str
    """Of packages and commands: lower case, with dashes."""
    module: str
    """Of modules: lower case, with underscores."""
    class_name: str
    asks: str
    """The method that answers: `classify` of pictures, recordings, signals and plain numbers,
    `predict` of a table's rows and in every regression."""


def names_of(pipeline: str, spec: ModelSpec) -> Names:
    """The names for a model of the pipeline."""
    ending = ENDINGS.get(spec.task, "classifier")
    words = [word.lower() for word in re.findall(r"[A-Za-z0-9]+", pipeline)]
    if words[-1] != ending:
        words.append(ending)
    if words[0][0].isdigit():  # no language lets a class begin so
        words.insert(0, "model")
    return Names(
        artefact="-".join(words),
        module="_".join(words),
        class_name="".join(word.capitalize() for word in words),
        asks="predict" if spec.task == "regression" or is_table(spec) else "classify",
    )


def is_table(spec: ModelSpec) -> bool:
    """Whether a sample is a row of named columns."""
    return any(part.columns and part.kind in ("row", "codes") for part in spec.input.inputs)


def is_picture(part: InputSpec) -> bool:
    """Whether an app gives a picture, grey or colour, of any size. Pixels of other channels are
    numbers: no picture has them."""
    return part.kind == "image" and part.peak is not None and part.shape[0] in (1, 3)


def check_version(text: str, where: str = "--version") -> str:
    """`text`, if every kind of package can have it as its version.

    Raises:
        ConfigError: it is not MAJOR.MINOR.PATCH.
    """
    if not VERSION.fullmatch(text):
        raise ConfigError(
            f"{text!r} is no version that every kind of package can have.",
            where=where,
            fix="give three numbers, such as 1.2.0",
        )
    return text
