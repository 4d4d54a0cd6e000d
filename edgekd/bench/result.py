"""The result of `edgekd bench`: the schema of its JSON file, which `edgekd schema bench` prints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from edgekd.bench.bootstrap import ProcessTimes
from edgekd.errors import DataError
from edgekd.results import BenchFigures, Figures, Latency, Machine


class MachineState(Figures):
    """What of a machine changes while it measures; null where it cannot be read."""

    governor: str | None = None
    """Of the frequency, such as performance or schedutil."""
    clock_mhz: float | None = None
    """Mean clock of the cores that the process may use."""
    temperature_c: float | None = None
    """The hottest sensor, °C."""
    throttles: int | None = None
    """How often these cores have throttled since the machine started."""
    firmware_throttled: int | None = None
    """The Raspberry Pi's get_throttled bits."""
    load_average: float | None = None
    """Over a minute."""
    cores: tuple[int, ...] = ()
    """Numbers of the cores that the process may use."""
    pinned: bool = False
    """Whether these are fewer than the machine has."""
    battery_percent: float | None = None
    """Charge of the battery."""
    battery_c: float | None = None
    """Of a phone: its battery's temperature, °C."""
    powered: bool | None = None
    """Of a phone: whether it is plugged in."""
    thermal_status: int | None = None
    """Of a phone: Android's thermal status, from 0 (it does not throttle) to 6 (it shuts down)."""


class WarmUp(Figures):
    """Runs before the measured ones, without the very first."""

    runs: int
    """How many."""
    seconds: float
    """How long."""
    mean_us: float
    """Their mean."""
    steady: bool | None
    """Whether the times were steady at its end; if not, the bound ended it. null of
    `benchmark_model`, which does not look."""


class BrowserFacts(Figures):
    """What a browser tells about itself."""

    user_agent: str
    """As it names itself to every page."""
    hardware_concurrency: int
    """Logical processors, as far as it tells."""
    cross_origin_isolated: bool
    """Whether the page had shared memory, so threads, and the finer clock."""
    timer_us: float
    """Steps of its clock, performance.now, in microseconds."""
    webgpu: str
    """Its graphics processor; empty where pages reach none."""


class BenchMachine(Machine):
    """A machine that measured."""

    clocks_mhz: tuple[float, ...] = ()
    """Of a phone: the highest clock of each core that runs, in their order: big and LITTLE ones
    differ."""
    browser: BrowserFacts | None = None
    """Where the files ran in a browser; `processor` and `memory_bytes` are then as far as it tells,
    and 0 is not told."""


class ProcessFigures(Figures):
    """One process that measured a file, or one fresh start in a browser's page."""

    round: int
    """From 0; the processes of a round, one a file, were measured one after the other."""
    n: int
    """Measured runs, or batches of them."""
    batch: int = 1
    """Runs that were timed together, where a clock is too coarse for one: times are their means."""
    p50: float
    """Their median in microseconds."""
    quantiles_us: list[float]
    """Times at 0, 1, ... 100 % of the runs; empty of `benchmark_model`, which tells no single
    times."""
    ends_us: tuple[float, float]
    """The first and the last of them."""
    rss_load_bytes: int
    """Memory that loading the file added."""
    load_ms: float
    """Reading the file until it can run."""
    first_us: float
    """The first inference."""
    warmup: WarmUp
    """What came between the first and the measured runs."""
    waited: float | None
    """Share of their time that threads were ready to run and had no core."""
    energy_uj: float | None
    """Microjoules of the whole processor an inference."""
    before: MachineState
    """After the warm-up."""
    after: MachineState
    """After the measured runs."""
    disturbed: list[str]
    """What measuring again may mend."""

    def times(self) -> ProcessTimes:
        """For the bootstrap."""
        return ProcessTimes(self.round, self.n, self.quantiles_us or [self.p50])


class StreamFigures(Figures):
    """Frames that came at a fixed rate, each waiting for the one before it."""

    fps: float
    """Frames a second."""
    deadline_ms: float
    """Within which a frame must be finished after it came."""
    seconds: float
    """How long it went on."""
    frames: int
    """How many came."""
    missed: int
    """Frames that were finished too late."""
    late: float
    """They as a share of all."""
    busy: float
    """Share of the time that was computed."""
    latency_us: Latency
    """From a frame's coming to its answer."""


STEPS = ("decode", "preprocess", "inference", "answer", "together")
"""The file's content becomes pixels or samples; these become what the runtime's tensor holds; the
network computes; its output becomes numbers and the best of them; all of it."""


class RawFigures(Figures):
    """From a file's bytes in memory to the answer, as an app does it, in processes of their own."""

    kind: str
    """pictures or recordings."""
    files: int
    """Different ones, which take turns."""
    right: int
    """Of these, those whose largest output is that of their class."""
    steps: dict[str, Latency]
    """By name: see `STEPS`."""


class ScenarioFigures(Figures):
    """A way of using the model, measured; see benchmarks/README.md for the rules."""

    name: Literal["single-stream", "offline"]
    """One sample after the other, or all at once."""
    value: float
    """The 90th percentile of the latency, or the throughput."""
    unit: Literal["us", "samples/s"]
    """Of value, low and high."""
    low: float | None
    """Lower end of the 95 % interval over processes; null of a single one."""
    high: float | None
    """Upper end."""
    samples: int
    """How many were computed, in all processes."""
    seconds: float
    """How long that took."""
    batch: int
    """Samples that were computed together."""
    note: str
    """What the reader should know, such as a batch that is fixed at 1."""


BlockTime = Annotated[float, Field(gt=0)]
"""Microseconds of an inference."""


class BenchRow(BenchFigures):
    """A file in one runtime on one device with one thread count, with all its processes."""

    runtime_version: str
    """Of the runtime."""
    runs: list[ProcessFigures]
    """By round."""
    stream: StreamFigures | None = None
    """Where it was asked for: measured by the first process, after its runs."""
    counted: list[int] = Field(default_factory=list)
    """Instructions of each inference that an emulated device counted."""
    raw: RawFigures | None = None
    """Where it was asked for: end to end."""
    scenario: ScenarioFigures | None = None
    """Where it was asked for."""
    blocks_us: list[list[BlockTime]] = Field(default_factory=list)
    """By process in which several files of a runtime took turns of milliseconds: the lower
    quartiles of this file's blocks, those at the same place in another file's measured beside them.
    Empty where only processes took turns."""

    def times(self) -> list[ProcessTimes]:
        """For the bootstrap."""
        return [process.times() for process in self.runs]

    def plain(self) -> BenchFigures:
        """Without the processes, as a run's summary has it."""
        return BenchFigures(**{name: getattr(self, name) for name in BenchFigures.model_fields})


class BenchResult(Figures):
    """Everything that one `edgekd bench` found out."""

    format: Literal["edgekd-bench-1"] = "edgekd-bench-1"
    """Tells the kind of file."""
    edgekd: str
    """Its version."""
    date: str
    """When the measuring ended, ISO 8601, UTC."""
    settings: dict[str, Any]
    """What was asked for, with every default."""
    machines: dict[str, BenchMachine]
    """By device."""
    rows: list[BenchRow]
    """By device, thread count and file."""
    failed: dict[str, str] = Field(default_factory=dict)
    """Devices that gave no result, and why."""

    @property
    def disturbed(self) -> list[str]:
        """What measuring again may mend, each once."""
        return list(dict.fromkeys(text for row in self.rows for text in row.disturbed))


def read_result(path: Path) -> BenchResult:
    """What `edgekd bench --json FILE` wrote.

    Raises:
        DataError: it cannot be read, or is something else.
    """
    try:
        return BenchResult.model_validate_json(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DataError("This file cannot be read.", where=f"{path}: {error.strerror}") from error
    except ValueError as error:
        raise DataError(
            "This is no result of edgekd bench.",
            where=str(path),
            fix=f"write one: edgekd bench MODEL --json {path.name}",
        ) from error
