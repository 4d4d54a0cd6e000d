"""Recordings that a network tells apart in moments."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.io import wavfile


def write_recordings(path: Path, count: int, classes: int, speakers: Sequence[str]) -> None:
    """A .zip of recordings CLASS_SPEAKER_INDEX.wav, whose class is their pitch."""
    rng = np.random.default_rng(0)
    with zipfile.ZipFile(path, "w") as archive:
        for i in range(count):
            content = io.BytesIO()
            pitch = np.sin(np.arange(4000) * (0.1 + 0.15 * (i % classes)))
            wave = 8000 * pitch + rng.normal(0, 300, 4000)
            wavfile.write(content, 8000, wave.astype(np.int16))
            name = f"{i % classes}_{speakers[i % len(speakers)]}_{i // classes}.wav"
            archive.writestr(name, content.getvalue())
