"""Where a `python:` factory, "module:function" or "file.py:function", has its source."""

from __future__ import annotations

from pathlib import Path

from edgekd.config.stages import ModelSettings
from edgekd.references import source_text


def python_source(settings: ModelSettings, base: Path | None = None) -> str:
    """Text of the file that defines the `python:` factory, for cache keys; "" for the zoo.

    Neither the file nor torch is imported; of a dotted module its parent packages are.

    Raises:
        StageError: there is no such file or module, or it is not Python text.
    """
    return "" if settings.python is None else source_text(settings.python, base)
