"""Seconds to decode and featurise the two .zip files: first time, and from the cache.

python benchmarks/data_and_models/loading.py ../shared/data
"""

from __future__ import annotations

import os
import sys
import tempfile
import time
from pathlib import Path

from edgekd.config.data import AudioFolderData, ImageFolderData
from edgekd.data.sources import load_source

SOURCES = (
    AudioFolderData(path=Path("fsdd.zip"), label="^([0-9])_", test_files=r"_[0-4]\.wav$"),
    ImageFolderData(path=Path("cifar10-jpeg.zip"), size=(32, 32)),
)


def main() -> None:
    """Prints a line a file."""
    base = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as cache:
        os.environ["EDGEKD_CACHE"] = cache
        for settings in SOURCES:
            seconds = []
            for _ in range(2):
                started = time.perf_counter()
                load_source(settings, base)
                seconds.append(time.perf_counter() - started)
            print(f"{settings.path}: first {seconds[0]:.2f} s, cached {seconds[1]:.2f} s")


if __name__ == "__main__":
    main()
