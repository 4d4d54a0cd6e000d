"""A user's own files as samples of a model: pictures, .npy arrays, .csv rows."""

from __future__ import annotations

import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from edgekd.data import series_signal, sound, table_columns, table_file
from edgekd.data.npz_file import BROKEN
from edgekd.errors import DataError
from edgekd.spec import Inputs, InputSpec, NamedInputs, SoundSpec

if TYPE_CHECKING:
    from PIL.Image import Image

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
SOUNDS = (*sound.WAV, *sound.OTHERS)
SUPPORTED = (
    f"recordings ({', '.join(SOUNDS)}), pictures ({', '.join(PICTURES)}), arrays (.npy) and rows "
    "of numbers (.csv)"
)
PICTURE_PEAK = 255.0


def read_samples(path: Path, spec: Inputs) -> Any:
    """The raw samples (N, *spec.shape) of a file, in the units of the training data.

    A recording is one sample, as the features that the model was trained on. A picture is one:
    turned to grey or RGB, resized, and scaled from 0..255 to
    0..`spec.peak`. An array or a table holds one or many, as they are; of a signal, a table with a
    row a step holds its windows one after the other, without what is left at the end.

    Raises:
        DataError: no such file, an unknown suffix, or a content that is not the model's input.
    """
    suffix = path.suffix.lower()
    if not path.is_file():
        raise DataError("There is no such file.", where=str(path))
    if path.stat().st_size == 0:
        raise DataError("This file is empty.", where=str(path))
    if isinstance(spec, InputSpec) and spec.kind == "series" and _of_columns(spec, suffix):
        table = table_file.read_table(path)
        return series_signal.whole_windows(table, spec.columns, spec.shape[1])
    if _of_columns(spec, suffix):
        return table_columns.encode(table_file.read_table(path), spec)
    if isinstance(spec, NamedInputs):
        raise DataError(
            "This model has several inputs, which this file does not name.",
            where=str(path),
            fix="give a .csv file with the columns of the training data, in any order",
        )
    if suffix in PICTURES:
        samples = _picture(path, spec)[None]
    elif suffix in SOUNDS:
        samples = _recording(path, spec)[None]
    elif suffix == ".npy":
        samples = arrange(_numpy(path), spec, str(path))
    elif suffix == ".csv":
        samples = arrange(_table(path), spec, str(path))
    else:
        raise DataError(
            f"Files of the kind {suffix or '(no suffix)'} are not read.",
            where=str(path),
            fix=f"give {SUPPORTED}",
        )
    if not np.isfinite(samples).all():
        raise DataError("A sample holds a value that is not finite.", where=str(path))
    return samples


def _of_columns(spec: Inputs, suffix: str) -> bool:
    """Whether the file is a table, and the model's input has columns of one."""
    return any(part.columns for part in spec.inputs) and suffix in table_file.SUFFIXES


def arrange(values: NDArray[Any], spec: InputSpec, where: str) -> NDArray[np.float32]:
    """`values` as samples (N, *spec.shape): one or many; channels first, last or none; or flat.

    Raises:
        DataError: the shape is none of these, or they are no numbers.
    """
    if values.dtype.kind not in "fiub":
        raise DataError(f"An array of {values.dtype} holds no numbers.", where=where)
    values = values.astype(np.float32)
    for shape, channels_last in _layouts(spec):
        for samples in (values[None], values):
            if samples.shape[1:] == shape and len(samples):
                return (
                    np.moveaxis(samples, -1, 1)
                    if channels_last
                    else samples.reshape(-1, *spec.shape)
                )
    raise DataError(
        f"An array of shape {values.shape} is no input of this model.",
        where=where,
        fix=f"the model takes {spec.shape}, channels first; put the samples in front: "
        f"(N, {', '.join(map(str, spec.shape))})",
    )


def _layouts(spec: InputSpec) -> list[tuple[tuple[int, ...], bool]]:
    """Shapes of a sample that mean the same, and whether its channels are last."""
    shape = spec.shape
    found = [(shape, False)]
    if len(shape) == 3:
        found.append(((*shape[1:], shape[0]), True))
        if shape[0] == 1:
            found.append((shape[1:], False))
    if len(shape) > 1:
        found.append(((int(np.prod(shape)),), False))
    return found


def _picture(path: Path, spec: InputSpec) -> NDArray[np.float32]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError("This picture cannot be read.", where=f"{path}: {error}") from error
    return pixels_as_samples(pixels(decode_picture(content, spec, path), spec), spec)


def decode_picture(content: bytes, spec: InputSpec, where: Path) -> Image:
    """A picture file's content: upright, grey or RGB as the model sees it, in its own size.

    Raises:
        DataError: the model takes no pictures, or this is none that can be read.
    """
    from PIL import Image, ImageOps

    from edgekd.data.pictures import check_size

    if spec.kind != "image" or spec.shape[0] not in (1, 3):
        raise DataError(
            "This model takes no pictures.",
            where=str(where),
            fix=f"give an .npy or .csv file of samples {spec.shape}",
        )
    try:
        with Image.open(io.BytesIO(content)) as opened:
            check_size(opened)
            upright = ImageOps.exif_transpose(opened)
            return upright.convert("L" if spec.shape[0] == 1 else "RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        told = str(error).replace(str(io.BytesIO), "")
        raise DataError("This picture cannot be read.", where=f"{where}: {told}") from error


def pixels(picture: Image, spec: InputSpec) -> NDArray[np.uint8]:
    """A picture's pixels (H, W, C), 0 to 255, in the model's size."""
    from PIL import Image

    channels, height, width = spec.shape
    resized = picture.resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized).reshape(height, width, channels)


def pixels_as_samples(values: NDArray[np.uint8], spec: InputSpec) -> NDArray[np.float32]:
    """Pixels (H, W, C) as a raw sample (C, H, W) in the units of the training data."""
    scale = np.float32((spec.peak or PICTURE_PEAK) / PICTURE_PEAK)
    return np.moveaxis(values.astype(np.float32), -1, 0) * scale


def _recording(path: Path, spec: InputSpec) -> NDArray[np.float32]:
    if spec.sound is None:
        raise DataError(
            "This model takes no recordings.",
            where=str(path),
            fix=f"give an .npy or .csv file of samples {spec.shape}",
        )
    rate, mono = _decoded(path)
    return sound.features(mono, rate, spec.sound)


def read_recording(path: Path, spec: SoundSpec) -> NDArray[np.float32]:
    """A recording (1, samples) as it is, at the model's rate and cut or padded to its length.

    Raises:
        DataError: no such file, or it cannot be read.
    """
    if not path.is_file():
        raise DataError("There is no such file.", where=str(path))
    rate, mono = _decoded(path)
    return sound.fit(sound.resample(mono, rate, spec.rate), spec.samples)[None]


def _decoded(path: Path) -> tuple[int, NDArray[np.float32]]:
    try:
        rate, _, mono = sound.decode(path.read_bytes(), path.name)
    except (ValueError, OSError) as error:
        raise DataError("This recording cannot be read.", where=f"{path}: {error}") from error
    return rate, mono


def _numpy(path: Path) -> NDArray[Any]:
    try:
        values = np.load(path, allow_pickle=False)
    except BROKEN as error:
        raise DataError("This array cannot be read.", where=f"{path}: {error}") from error
    if not isinstance(values, np.ndarray):
        raise DataError("This is an archive of arrays, not one array.", where=str(path))
    return values


def _table(path: Path) -> NDArray[np.float32]:
    """Rows of numbers; a first row without any number is taken as the columns' names."""
    import csv

    rows: list[list[float]] = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            for line, cells in enumerate(csv.reader(file), start=1):
                if not any(cell.strip() for cell in cells):
                    continue
                if line == 1 and not any(_number(cell) is not None for cell in cells):
                    continue
                rows.append(_row(cells, f"{path}, line {line}"))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError("This table cannot be read.", where=f"{path}: {error}") from error
    if not rows:
        raise DataError("This table has no rows of numbers.", where=str(path))
    widths = {len(row) for row in rows}
    if len(widths) > 1:
        raise DataError(f"The rows have different lengths: {sorted(widths)}.", where=str(path))
    return np.array(rows, np.float32)


def _row(cells: list[str], where: str) -> list[float]:
    numbers = []
    for column, cell in enumerate(cells, start=1):
        number = _number(cell)
        if number is None:
            raise DataError(f"{cell!r} is not a number.", where=f"{where}, column {column}")
        numbers.append(number)
    return numbers


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None
