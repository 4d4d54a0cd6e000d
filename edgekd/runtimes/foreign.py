"""How a file that nobody here wrote takes its input: layout, scale and type."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.spec import InputSpec

Floats = NDArray[np.float64]


def layout_of(
    shape: Sequence[int | None], own: tuple[int, ...], wanted: str, *, where: str, place: str
) -> str:
    """NCHW, NHWC or NF: how the file has a sample of shape `own` (channels first).

    Args:
        shape: of the file's input, with the batch; None where an axis is open.
        wanted: `auto`, or what the user says.
        where: names the file and its input in errors.
        place: what stands before the names of fields in errors, such as "teacher.input.".

    Raises:
        StageError: the file takes another shape, or so many samples at a time.
    """
    rank = len(own)
    first, last = own, (*own[1:], own[0])
    choices = {"NCHW": first, "NHWC": last} if rank == 3 else {"NF": first}
    fitting = [name for name, size in choices.items() if _fits(shape[1:], size)]
    chosen = [name for name in fitting if wanted in ("auto", name) or rank == 1]
    if not chosen:
        seen = ", ".join("?" if size is None else str(size) for size in shape[1:])
        raise StageError(
            f"The input of this file is (N, {seen}), and a sample of the data is {own}, channels "
            "first.",
            where=where,
            fix="give the data the size that the model was trained on (data.size), or check "
            f"{place}layout",
        )
    if shape[0] is not None and shape[0] > 1:
        raise StageError(
            f"This file takes {shape[0]} samples at a time, no more and no fewer.",
            where=where,
            fix="export it with a batch of 1, or with an open one",
        )
    return chosen[0]


def _fits(shape: Sequence[int | None], own: tuple[int, ...]) -> bool:
    pairs = zip(shape, own, strict=False)
    return len(shape) == len(own) and all(size in (None, want) for size, want in pairs)


def affine(
    spec: InputSpec, settings: OnnxInput, *, where: str, place: str
) -> tuple[Floats, Floats]:
    """Factor and offset, one a channel or feature, from raw values to what the file takes.

    Without `scale`, `mean` and `std` that is what edgekd normalises by.

    Raises:
        StageError: there are as many numbers as neither one nor the channels.
    """
    channels = len(spec.mean)
    if not settings.scaled:
        own_std = np.asarray(spec.std, float)
        return 1 / own_std, -np.asarray(spec.mean, float) / own_std
    mean, std = settings.mean or (0.0,), settings.std or (1.0,)
    for field, values in (("mean", mean), ("std", std)):
        if len(values) not in (1, channels):
            raise StageError(
                f"There are {len(values)} numbers for {channels} channels or features.",
                where=f"{place}{field}; {where}",
                fix="give one for all, or one each",
            )
    divisor = np.broadcast_to(np.asarray(std, float), channels)
    return (settings.scale or 1.0) / divisor, -np.asarray(mean, float) / divisor


@dataclass(frozen=True)
class Feed:
    """Turns raw samples into a file's input."""

    layout: str
    factor: Floats
    offset: Floats
    dtype: Any = np.float32
    scale: float = 1.0
    """Of a quantized input: real = scale * (integer - zero_point)."""
    zero_point: int = 0

    def __call__(self, raw: NDArray[Any]) -> NDArray[Any]:
        """Raw samples (N, *shape), channels first, as the file takes them.

        Raises:
            StageError: a value is not finite.
        """
        shape = (1, -1) + (1,) * (raw.ndim - 2)
        x = raw.astype(np.float64) * self.factor.reshape(shape) + self.offset.reshape(shape)
        if not np.isfinite(x).all():
            raise StageError("A sample holds a value that is not finite.")
        if self.layout == "NHWC":
            x = np.moveaxis(x, 1, -1)
        kind = np.dtype(self.dtype)
        if kind.kind in "iu":
            limits = np.iinfo(kind)
            x = np.clip(np.rint(x / self.scale) + self.zero_point, limits.min, limits.max)
        return np.ascontiguousarray(x, kind)


def picture_size(shape: Sequence[int | None], layout: str) -> tuple[int, int] | None:
    """Height and width that a file's input takes; None where it is no picture or they are open."""
    if len(shape) != 4:
        return None
    channels = (1, 3)
    last = layout == "NHWC" or (
        layout == "auto" and shape[3] in channels and shape[1] not in channels
    )
    height, width = (shape[1], shape[2]) if last else (shape[2], shape[3])
    return None if height is None or width is None else (height, width)


def answers(form: Path, x: Any, outputs: int, path: Path) -> NDArray[np.float32]:
    """What an .onnx file that was adapted to the data says to normalised samples, (N, outputs).

    Args:
        form: the adapted file.
        path: the file as it was given, for errors.

    Raises:
        StageError: it does not run on them, or gives other outputs.
    """
    from edgekd.runtimes.loaded import load

    try:
        found = load(form).run(x)
    except Exception as error:  # ONNX Runtime's own errors share no public base
        raise StageError(
            "This .onnx file does not run on the data.",
            where=f"{path}: {str(error).splitlines()[0][:300]}",
            fix="check that it was exported for samples of this size, with an open batch or 1",
        ) from error
    wanted = (len(x), outputs)
    if found.shape != wanted:
        raise StageError(
            f"This .onnx file answers {len(x)} samples with {found.shape}, and the data has "
            f"{outputs} outputs: {wanted}.",
            where=str(path),
            fix="give the data that it was trained on",
        )
    if not np.isfinite(found).all():
        raise StageError("This .onnx file gives numbers that are not finite.", where=str(path))
    return found
