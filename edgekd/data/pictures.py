"""Pictures as uint8 arrays."""

from __future__ import annotations

import io
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps, UnidentifiedImageError

from edgekd.config.data import ImageFolderData, Pictured

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm")
GREY = ("1", "L", "LA", "I", "I;16", "F")
MOST_PIXELS = Image.MAX_IMAGE_PIXELS or 89_478_485
"""Pillow's limit, which guards against decompression bombs; Pillow itself only warns there."""


def decode(content: bytes, settings: ImageFolderData | Pictured) -> tuple[bool, NDArray[np.uint8]]:
    """Whether a picture has colour, and its pixels (3, H, W).

    Raises:
        ValueError: it is no whole picture, or a huge one.
    """
    try:
        with Image.open(io.BytesIO(content)) as picture:
            check_size(picture)
            colour = picture.mode not in GREY
            ImageOps.exif_transpose(picture, in_place=True)
            return colour, _pixels(picture, settings).transpose(2, 0, 1)
    except UnidentifiedImageError as error:
        raise ValueError("it is no picture that can be read") from error
    except (OSError, SyntaxError, EOFError, Image.DecompressionBombError) as error:
        raise ValueError(str(error).replace(str(type(content)), "")) from error


def check_size(picture: Image.Image) -> None:
    """Refuses a picture that claims more pixels than one may have, before they are decoded.

    Raises:
        ValueError: it does.
    """
    width, height = picture.size
    if width * height > MOST_PIXELS:
        raise ValueError(f"it claims {width} x {height} pixels")


def as_array(
    picture: Image.Image,
    size: tuple[int, int] | None,
    resize: Literal["stretch", "crop"],
) -> NDArray[np.uint8]:
    """A picture as (H, W) if it is grey, else (H, W, 3), in a size (height, width).

    Raises:
        OSError: its file is not whole.
    """
    grey = picture.mode in GREY
    picture = _eight_bits(picture).convert("L" if grey else "RGB")
    return np.asarray(picture if size is None else _resized(picture, size, resize))


def _pixels(picture: Image.Image, settings: ImageFolderData | Pictured) -> NDArray[np.uint8]:
    """(H, W, 3) in the settings' size."""
    picture = _eight_bits(picture)
    if picture.mode != "RGB":
        picture = picture.convert("RGB")
    if settings.size is not None:
        picture = _resized(picture, settings.size, settings.resize)
    return np.asarray(picture)


def _eight_bits(picture: Image.Image) -> Image.Image:
    """Pillow clips 16-bit grey instead of scaling it."""
    if not picture.mode.startswith("I"):
        return picture
    return Image.fromarray((np.asarray(picture).astype(np.int64) // 256).clip(0, 255).astype("u1"))


def _resized(picture: Image.Image, size: tuple[int, int], resize: str) -> Image.Image:
    height, width = size
    if picture.size == (width, height):
        return picture
    if resize == "crop":
        return ImageOps.fit(picture, (width, height), Image.Resampling.BILINEAR)
    return picture.resize((width, height), Image.Resampling.BILINEAR)
