"""One file of measurements that people can send in: figures and the device's facts, nothing else.

Left out are the names of profiles, hosts and folders, what failed and why, and warnings, which may
hold such names. Models go by their files' names and SHA-256.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from edgekd.bench.result import BenchResult, BenchRow
from edgekd.errors import ConfigError, DataError
from edgekd.results import Figures, Latency
from edgekd.store import write_atomic

Words = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f<>\[\]|`\\]*$")]
"""Shown in tables of others: no markup, links or pictures, and no line breaks."""
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
LARGEST = 1 << 20
"""Bytes of a file."""
HOLDS = (
    "the processor's name, cores, memory and instruction sets, the system's name and version; for "
    "each model its file's name, size and SHA-256, runtime, threads, latency, load time, memory, "
    "energy, accuracy, the governor and whether the run was disturbed; edgekd's version and the "
    "day. No user, host, folder or profile names, and no data"
)


class SubmittedDevice(Figures):
    """The machine that measured."""

    kind: Literal["local", "ssh", "adb", "browser"]
    """How it was reached. An emulator has no times."""
    system: Words
    """Operating system and version."""
    processor: Words
    """Model name."""
    cores: Annotated[int, Field(ge=0, le=4096)]
    """Logical processors that the process could use."""
    memory_bytes: Annotated[int, Field(ge=0)]
    """Main memory; 0 where a browser does not tell."""
    instructions: list[Words]
    """Vector instruction sets that decide kernels."""


class SubmittedRow(Figures):
    """A file in one runtime with one thread count."""

    model: Words
    """The file's name."""
    sha256: Digest
    """Of its content."""
    bytes: Annotated[int, Field(ge=1)]
    """Its size."""
    precision: str = Field(default="", max_length=20, pattern=r"^[a-z0-9-]*$")
    """float32, int8 and so on; empty where the file does not tell."""
    runtime: Literal["onnxruntime", "litert", "onnxruntime-web", "litert.js"]
    """What ran it."""
    runtime_version: Words
    """Of the runtime."""
    threads: Annotated[int, Field(ge=0, le=4096)]
    """Threads that it was given; 0 on a graphics processor, by WebGPU."""
    processes: Annotated[int, Field(ge=1)]
    """Starts of the program."""
    latency_us: Latency
    """Microseconds of an inference at batch 1."""
    load_ms: Annotated[float, Field(ge=0)]
    """Reading the file until it can run."""
    first_us: Annotated[float, Field(ge=0)]
    """The first inference."""
    rss_growth_bytes: Annotated[int, Field(ge=0)]
    """Memory that loading and running it added."""
    energy_uj: Annotated[float, Field(ge=0)] | None = None
    """Microjoules of the processor an inference, where it counts them."""
    accuracy: Annotated[float, Field(le=1)] | None = None
    """The headline score, where it was measured."""
    metric: Words | None = None
    """What the score is."""
    governor: Words | None = None
    """Of the frequency."""
    disturbed: bool
    """Whether other programs, heat or the clock disturbed it."""

    @model_validator(mode="after")
    def _possible(self) -> SubmittedRow:
        times = self.latency_us
        numbers = [*times.model_dump(exclude_none=True).values(), self.load_ms, self.first_us]
        if not all(math.isfinite(value) for value in numbers):
            raise ValueError("a time is no finite number")
        told = [value for value in (0, times.p50, times.p90, times.p99) if value is not None]
        if times.p50 <= 0 or told != sorted(told) or times.n < 1:
            raise ValueError("latency_us: percentiles are above 0 and rise, of at least one run")
        return self


class SubmittedMachine(Figures):
    """A device with what was measured there."""

    device: SubmittedDevice
    rows: Annotated[list[SubmittedRow], Field(min_length=1)]


class Submission(Figures):
    """Everything that is sent in."""

    format: Literal["edgekd-submission-1"] = "edgekd-submission-1"
    """Tells the kind of file."""
    edgekd: Words
    """Its version."""
    date: Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
    """The day of the measurement."""
    measured: Annotated[list[SubmittedMachine], Field(min_length=1)]
    """Device by device."""


def check_length(*, quick: bool) -> None:
    """Raises ConfigError: the measurement is too short to be sent in."""
    if quick:
        raise ConfigError(
            "A measurement with --quick is too short to be sent in.",
            where="--submit",
            fix="measure without --quick",
        )


def submit(result: BenchResult, kinds: dict[str, str], folder: Path) -> Path:
    """Writes a result as one file of `folder`, which is made, named by its content.

    Args:
        kinds: the devices' kinds by their profiles' names.

    Raises:
        ConfigError: it was measured with --quick.
        DataError: nothing in it has times.
    """
    check_length(quick=result.settings["quick"])
    measured = []
    for name, machine in result.machines.items():
        timed = [r for r in result.rows if r.device == name and r.latency_us is not None]
        if timed:
            told = {"kind": kinds[name], **machine.model_dump()}
            facts = {field: told[field] for field in SubmittedDevice.model_fields}
            facts |= {field: _words(told[field]) for field in ("system", "processor")}
            rows = [_row(row).model_dump() for row in timed]
            measured.append({"device": facts, "rows": rows})
    if not measured:
        raise DataError("Nothing here has times that could be sent in.", where="--submit")
    found = Submission.model_validate(
        {"edgekd": result.edgekd, "date": result.date[:10], "measured": measured}
    )
    text = found.model_dump_json(indent=1)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"edgekd-bench-{hashlib.sha256(text.encode()).hexdigest()[:12]}.json"
    write_atomic(path, text)
    return path


def _words(text: str) -> str:
    """As `Words` allow it; a browser does not always tell its processor."""
    return re.sub(r"[\x00-\x1f<>\[\]|`\\]", " ", text)[:200].strip() or "unknown"


def _row(row: BenchRow) -> SubmittedRow:
    path = Path(row.model)
    kept: dict[str, Any] = {
        name: getattr(row, name)
        for name in SubmittedRow.model_fields
        if name in BenchRow.model_fields and name not in ("model", "accuracy", "disturbed")
    }
    governors = [process.before.governor for process in row.runs if process.before.governor]
    return SubmittedRow(
        **kept,
        model=_words(path.name),
        sha256=hashlib.sha256(path.read_bytes()).hexdigest(),
        accuracy=row.accuracy.value if row.accuracy else None,
        metric=row.accuracy.metric if row.accuracy else None,
        governor=governors[0] if governors else None,
        disturbed=bool(row.disturbed),
    )


def read_submission(path: Path) -> Submission:
    """A file that somebody sent in; nothing in it is trusted.

    Raises:
        DataError: it cannot be read, is too large, or is not as the schema says; names the field.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise DataError("This file is too large for a submission.", where=str(path))
        content = path.read_bytes()
    except OSError as error:
        raise DataError("This file cannot be read.", where=f"{path}: {error.strerror}") from error
    try:
        return Submission.model_validate_json(content)
    except ValueError as error:
        raise DataError("This is no submission.", where=f"{path}: {_first(error)}") from error


def _first(error: ValueError) -> str:
    """The first fault, with its field."""
    errors: Sequence[Any] = getattr(error, "errors", list)()
    if not errors:
        return str(error).splitlines()[0][:200]
    place = ".".join(map(str, errors[0]["loc"]))
    return f"{place}: {errors[0]['msg']}" if place else str(errors[0]["msg"])
