"""Memory at a million samples of a thousand classes: the data, the teacher, its top-20 soft labels
and the student's distillation, each in a process of its own.

    python -m benchmarks.scale.million

The samples are synthetic: a point of 64 numbers for each class, and noise. They are written as
shards of WebDataset, and read by `source: webdataset` as anybody's are. There are 1,000,000 for
training and 50,000 each for validation and test, as ImageNet has; the networks are perceptrons,
each trained for one epoch. Of memory the peak of the process is told (`ru_maxrss`): it counts the
pages of memory-mapped files that lie in memory, which the system takes back when somebody needs
them.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import BENCHMARKS, Row, finish, options, percent, started
from edgekd.results import ModelFigures
from edgekd.store import read_json

PIPELINE = Path(__file__).resolve().with_name("million.yaml")
STAGES = ("data", "teacher", "softlabels", "distill")
FEATURES, NOISE = 64, 1.6
SHARD = 10_000
"""Samples of a shard."""
MEMORY, CACHE = 1.5e9, 150e6
"""Bytes that we set out to stay below."""
PARTS = {"train": 1.0, "val": 0.05, "test": 0.05}
"""Samples of each part, as a share of those for training."""


def main() -> None:
    """Measures, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--quick", action="store_true", help="a smoke test: 4,000 samples")
    parser.add_argument("--samples", type=int, default=1_000_000, help="for training")
    parser.add_argument("--classes", type=int, default=1000)
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.samples, chosen.classes = 4000, 40
    start = started()
    chosen.work.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="million-", dir=chosen.work) as folder:
        figures = measure(Path(folder), chosen.samples, chosen.classes)
    figures["load_after"] = round(os.getloadavg()[0], 2)
    finish(
        f"Memory at {chosen.samples:,} samples of {chosen.classes:,} classes",
        start,
        runs="one, each stage in a process of one thread",
        quick=chosen.quick,
        figures=figures,
        rows=_rows(figures),
        results=chosen.results,
    )


def measure(folder: Path, samples: int, classes: int) -> dict[str, Any]:
    """Writes the shards and runs the stages."""
    shards = write_shards(folder / "shards", samples, classes)
    stages = {stage: run_stage(folder, stage) for stage in STAGES}
    runs = folder / "runs" / "million"
    cache = next(runs.glob("softlabels-*"))
    scores = {}
    for stage in ("teacher", "distill"):
        (model,) = read_json(next(runs.glob(f"{stage}-*")) / "manifest.json")["models"]
        accuracy = ModelFigures.model_validate(model).accuracy
        assert accuracy is not None
        scores[stage] = accuracy.value
    return {
        "samples": samples,
        "classes": classes,
        "shard_bytes": shards,
        "stages": stages,
        "cache_bytes": sum(path.stat().st_size for path in cache.glob("*.npy")),
        "accuracy": scores,
    }


def write_shards(folder: Path, samples: int, classes: int) -> int:
    """Shards of all parts; gives their bytes."""
    folder.mkdir()
    rng = np.random.default_rng(0)
    points = rng.normal(size=(classes, FEATURES))
    for part, share in PARTS.items():
        left, number = round(share * samples), 0
        while left:
            count = min(SHARD, left)
            y = rng.permutation(np.arange(count) % classes)
            x = points[y] + rng.normal(0, NOISE, (count, FEATURES))
            _write_shard(folder / f"{part}-{number:04}.tar", x.astype(np.float32), y)
            left, number = left - count, number + 1
    return sum(path.stat().st_size for path in folder.iterdir())


def _write_shard(path: Path, x: np.ndarray, y: np.ndarray) -> None:
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as archive:
        file = io.BytesIO()
        np.save(file, x[0])
        header = file.getvalue()[: -x[0].nbytes]  # that of all
        for row, (sample, label) in enumerate(zip(x, y.tolist(), strict=True)):
            array = header + sample.tobytes()
            for ending, content in (("npy", array), ("cls", str(label).encode())):
                member = tarfile.TarInfo(f"{row:05}.{ending}")
                member.size = len(content)
                archive.addfile(member, io.BytesIO(content))


def run_stage(folder: Path, stage: str) -> dict[str, float]:
    """Seconds and the peak of resident memory, in bytes, of a process that runs one stage."""
    command = [sys.executable, "-m", "edgekd", "run", str(PIPELINE), "--until", stage]
    command += ["--set", f"data.root={folder}", "--runs", str(folder / "runs")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "EDGEKD_CACHE": str(folder / "cache")}
    began = time.perf_counter()
    with open(folder / f"{stage}.log", "w+") as log:
        child = subprocess.Popen(
            command, cwd=BENCHMARKS.parent, env=environment, stdout=log, stderr=subprocess.STDOUT
        )
        _, status, used = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        log.seek(0)
        if child.returncode:
            raise SystemExit(f"{stage} failed.\n{log.read()}")
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "resident": used.ru_maxrss * 1024,
    }


def _rows(figures: dict[str, Any]) -> list[Row]:
    stages, cache = figures["stages"], figures["cache_bytes"]
    most = max(stage["resident"] for stage in stages.values())
    rows = [
        Row(
            f"resident memory at most: {name}",
            f"{stage['resident'] / 1e9:.2f} GB, in {stage['cpu_seconds']:.0f} s of processor time",
        )
        for name, stage in stages.items()
    ]
    return [
        Row(
            "resident memory at most, of all stages",
            f"{most / 1e9:.2f} GB",
            f"≤ {MEMORY / 1e9} GB",
            most <= MEMORY,
        ),
        Row(
            "soft-label cache, top 20, one view",
            f"{cache / 1e6:.0f} MB",
            f"≤ {CACHE / 1e6:.0f} MB",
            cache <= CACHE,
        ),
        *rows,
        Row("shards that were read", f"{figures['shard_bytes'] / 1e9:.2f} GB"),
        *(
            Row(f"test accuracy after one epoch: {name}", percent(figures["accuracy"][stage]))
            for name, stage in (("teacher", "teacher"), ("student", "distill"))
        ),
    ]


if __name__ == "__main__":
    main()
