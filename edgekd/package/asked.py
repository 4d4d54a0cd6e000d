"""What a bundle's method takes: the words and types of its signature in each language."""

from __future__ import annotations

import re
from dataclasses import dataclass

from edgekd.package.naming import is_picture, is_table
from edgekd.spec import ModelSpec


@dataclass(frozen=True)
class Asked:
    """The argument of `classify` or `predict`."""

    kind: str
    """pixels, samples, row, several or values."""
    name: str
    about: str
    """What it is, for documentation."""


def asked_of(spec: ModelSpec) -> Asked:
    """The argument for a model."""
    part = spec.input.inputs[0]
    if is_table(spec):
        columns = [column for each in spec.input.inputs for column in each.columns]
        return Asked(
            "row", "row", f"a number, a text or nothing for each of {len(columns)} columns"
        )
    if len(spec.input.inputs) > 1:
        # into comments of several languages, which no name may end
        names = ", ".join(re.sub(r"[^\w .:-]", "?", each.name) for each in spec.input.inputs)
        return Asked("several", "values", f"the numbers of each input: {names}")
    if part.sound is not None:
        return Asked("samples", "samples", f"a recording at {part.sound.rate} Hz, within -1 to 1")
    if is_picture(part):
        return Asked("pixels", "pixels", "a picture of any size, 0 to 255, rows first")
    shape = " x ".join(map(str, part.shape))
    return Asked("values", "values", f"{shape} numbers, channels first")
