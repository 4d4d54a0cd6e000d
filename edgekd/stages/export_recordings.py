"""Files that take recordings as they are: written beside those that take features.

A pipeline keeps the features of its recordings, and trains, compares and measures by them. So these
files are compared with torch on recordings that are made up.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.spec import InputSpec, ModelSpec
from edgekd.stages.export_files import Variant, Writer

if TYPE_CHECKING:
    from edgekd.export.parity import Comparison

COUNT = 64
"""Recordings that the files are compared on."""


def takes_recordings(spec: ModelSpec) -> bool:
    """Whether the network's input is made of recordings."""
    return isinstance(spec.input, InputSpec) and spec.input.sound is not None


def write_for_recordings(
    folder: Path,
    stem: str,
    spec: ModelSpec,
    variant: Variant,
    formats: Sequence[str],
) -> dict[str, Comparison]:
    """Writes STEM-baked.FORMAT and compares each with torch.

    Args:
        variant: a precision of the network, which takes normalised features.

    Returns:
        By pair, how far they agree.

    Raises:
        StageError: a file cannot be written, or does not answer as torch does.
    """
    from edgekd import inputs
    from edgekd.export.baked import comparable, comparison_step
    from edgekd.export.log_mel import made_up_recordings
    from edgekd.export.parity import check, compare, quantization_step
    from edgekd.runtimes import load
    from edgekd.train.evaluate import logits_of

    assert isinstance(spec.input, InputSpec) and spec.input.sound is not None
    recordings, features = made_up_recordings(spec.input.sound, COUNT)
    normalised = inputs.tensors(spec.input.normalise(features))
    logits = logits_of(variant.reference, normalised).numpy()
    wanted = comparable(logits, spec)
    regression = spec.task == "regression"
    unit = (
        quantization_step(logits, None)
        if regression
        else comparison_step(logits, variant.precision)
    )
    writer = Writer(spec, baked=True)
    found = {}
    for form in sorted(formats, key="ort".__eq__):
        path = folder / f"{stem}-baked.{form}"
        writer.write(form, variant, path)
        answers = comparable(load(path).run(recordings), spec)
        pair = f"torch/{path.name}"
        found[pair] = compare(wanted, answers, unit, spec.task)
        check(found[pair], pair=pair, precision=variant.precision)
    return found
