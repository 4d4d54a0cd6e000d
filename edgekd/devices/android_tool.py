"""An Android phone as a device, without a Python: Google's `benchmark_model` measures."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path, PurePosixPath
from typing import Any

from edgekd.config.device import DeviceSettings
from edgekd.devices import android_scripts as scripts
from edgekd.devices.adb import AdbShell
from edgekd.devices.android import AndroidDevice, machine_state
from edgekd.devices.android_facts import doubts
from edgekd.devices.base import closed_on_failure
from edgekd.devices.benchmark_output import Output, read_output
from edgekd.devices.benchmark_tool import tool
from edgekd.devices.remote import GRACE, SHORT, SLOWEST, full, stored_name
from edgekd.errors import StageError

PROFILE_RUNS = 100
NO_STREAM = "frames at a fixed rate need a Python on the phone: they were not measured"
NO_BATCHES = "batches need a Python on the phone: they were not measured"


class BenchmarkModelDevice(AndroidDevice):
    """A phone without a Python: `benchmark_model` measures TFLite files, and gives no answers."""

    def __init__(self, settings: DeviceSettings, shell: AdbShell) -> None:
        super().__init__(settings, shell)
        self.tool = Path()
        """Of this machine."""
        self._pushed = ""
        self._peaks: dict[tuple[str, int], int] = {}

    @property
    def scored(self) -> bool:
        """See `Device.scored`."""
        return False

    @property
    def together(self) -> bool:
        """See `Device.together`."""
        return False

    def connect(self) -> None:
        """Reaches the phone and brings `benchmark_model` there.

        Raises:
            StageError: there is no such program, no phone, or the phone cannot start it.
        """
        if self._jobs is not None:
            return
        self.tool = tool(self.settings)
        self.adb.open()
        with closed_on_failure(self):
            self.folder = PurePosixPath(self.settings.folder)
            done = self.do(scripts.CONNECT, str(self.folder))
            blocks, size = done.out.split()[:2]
            self.facts = {"free_bytes": int(blocks) * int(size)}
            self._jobs = str(self.folder)
            self._look()
            self._pushed = self.push(self.tool)

    def _send(self, file: Path, name: str, there: int) -> None:
        """By adb's own protocol, which starts a transfer that was cut off anew."""
        size, part = file.stat().st_size, f"{self.folder}/files/{name}.{os.getpid()}.part"
        try:
            self.adb.push(file, part, SHORT + size / SLOWEST)
        except StageError as error:
            if full(str(error)):
                raise self.disk_full(f"{file} on {self.name}") from error
            raise
        self.do(
            scripts.SETTLE,
            *(str(self.folder), name, name.partition(".")[0], part),
            what=str(file),
            timeout=SHORT + size / SLOWEST,
        )
        self.sent_bytes += size

    def run(self, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """See `Device.run`. A job's inputs are random, and it gives no outputs."""
        if not job.get("model"):
            return {"ok": True, "machine": self.state()}
        path, threads = str(job["model"]), int(job.get("threads", 1))
        what = f"{path} on {self.name}"
        flags = {
            "num_runs": job.get("min_runs", 200),
            "min_secs": max(1e-3, job.get("min_seconds", 3.0)),
            "max_secs": job.get("max_seconds") or timeout,
            "warmup_runs": job.get("warmup_runs", 1),
            "warmup_min_secs": max(1e-3, job.get("warmup_seconds", 0.6)),
        }
        if job.get("profile"):
            few = {**flags, "num_runs": PROFILE_RUNS, "min_secs": 1e-3}
            return self._profile(path, threads, what, timeout, few)
        before = self.phone_state()
        measured = self._start(path, threads, what, timeout, **flags)
        after = self.phone_state()
        always, again = doubts(before, after)
        missing = [NO_STREAM] if job.get("stream") else []
        missing += [NO_BATCHES] if job.get("offline") else []
        return {
            **as_result(measured, what),
            "machine": self._machine(before),
            "runtime_version": f"benchmark_model {stored_name(self.tool)[:12]}",
            "threads": threads,
            "peak_rss_bytes": self._peak(path, threads, what, timeout),
            "before": machine_state(before),
            "after": machine_state(after),
            "disturbed": again,
            "warnings": always + again + missing,
        }

    def _peak(self, path: str, threads: int, what: str, timeout: float) -> int:
        """The largest resident memory, of a start of its own: watching it disturbs times."""
        if (path, threads) not in self._peaks:
            short = {"num_runs": 1, "min_secs": 1e-3, "warmup_min_secs": 1e-3}
            watched = {**short, "report_peak_memory_footprint": "true"}
            found = self._start(path, threads, what, timeout, **watched).peak_bytes
            if found is None:
                raise StageError("This benchmark_model does not tell its memory.", where=what)
            self._peaks[path, threads] = found
        return self._peaks[path, threads]

    def _profile(
        self, path: str, threads: int, what: str, timeout: float, flags: dict[str, Any]
    ) -> dict[str, Any]:
        """Time by operator in microseconds an inference."""
        found = self._start(path, threads, what, timeout, **flags, enable_op_profiling="true")
        rows = [
            {"name": row.name, "op": row.op, "us": row.us, "calls": row.calls * found.runs.n}
            for row in found.operators
        ]
        note = "" if rows else "benchmark_model told no times by operator"
        return {"ok": True, "profile": rows, "profile_note": note}

    def _start(self, path: str, threads: int, what: str, timeout: float, **flags: Any) -> Output:
        words = [f"--graph={path}", f"--num_threads={threads}"]
        words += [f"--{name}={value}" for name, value in flags.items()]
        self.sent_bytes += sum(map(len, words))
        done = self.do(
            scripts.RUN,
            *(self._job_folder(), *self.adb.around, self._pushed, *words),
            timeout=timeout + GRACE,
            what=what,
            known=range(256),
        )
        return read_output(done.out.decode("utf-8", "replace"), done.code, what)

    def pull(self, name: str, to: Path) -> None:
        """See `Device.pull`."""
        raise StageError(
            "benchmark_model writes no files.", where=f"{name} on {self.name}", fix="name a Python"
        )

    def state(self) -> dict[str, Any]:
        """See `Device.state`."""
        return self._machine(self.phone_state())

    def _machine(self, state: dict[str, Any]) -> dict[str, Any]:
        return {
            "system": self.android.system,
            "processor": self.android.processor,
            "clocks_mhz": list(self.android.clocks_mhz.values()),
            "cores": len(self.cores),
            "memory_bytes": self.android.memory_bytes,
            "instructions": list(self.android.instructions),
            "governor": state["governor"],
            "load_average": state["load_average"],
            "python": None,
            "numpy": None,
            "runtimes": {"litert": f"benchmark_model {stored_name(self.tool)[:12]}"},
        }

    def close(self) -> None:
        """Nothing was left there but files for the next time."""
        self._jobs = None
        self._there.clear()
        with contextlib.suppress(StageError):
            self.adb.close()


def as_result(found: Output, what: str) -> dict[str, Any]:
    """The tool's figures as the agent's result has them; None and empty where it tells nothing.

    Raises:
        StageError: it told no median.
    """
    runs, warmup = found.runs, found.warmup
    if runs.p50 is None:
        raise StageError(
            "This benchmark_model is too old: it tells no median.",
            where=what,
            fix="take one of TensorFlow 2.16 or newer: docs/devices.md says from where",
        )
    return {
        "ok": True,
        "runtime": "litert",
        "load_ms": found.init_us / 1e3,
        "first_us": found.first_us,
        "warmup": {
            "runs": warmup.n,
            "seconds": warmup.n * warmup.mean / 1e6,
            "mean_us": warmup.mean,
            "steady": None,
        },
        "latency_us": {
            **{"p50": runs.p50, "p90": None, "p95": runs.p95, "p99": None},
            **{"mean": runs.mean, "std": runs.std, "mad": None, "outliers": None},
            **{"min": runs.min, "max": runs.max, "n": runs.n},
        },
        "quantiles_us": [],
        "ends_us": [runs.first, runs.last],
        "energy_uj": None,
        "waited": None,
        "rss_load_bytes": max(0, found.init_bytes),
        "rss_growth_bytes": max(0, found.overall_bytes),
    }
