"""A job as a page gets it, and its answer as the agent would have given it.

This machine makes the inputs as the agent does (layout, quantization, batches) and reads the
outputs; the page puts octets in, runs the file with the browser's own kernels, and gives octets
back.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.agent import agent
from edgekd.devices.browser_link import Work
from edgekd.errors import StageError

RUNTIMES = {"onnxruntime": ("onnxruntime-web", "ort"), "litert": ("litert.js", "litert")}
"""Of the agent's runtimes: what runs the same files in a browser, and the folder of its package."""
LENGTHS = ("warmup_seconds", "warmup_runs", "min_runs", "min_seconds", "max_seconds")
STATE = {
    **dict.fromkeys(("governor", "clock_mhz", "temperature_c", "throttles"), None),
    **dict.fromkeys(("firmware_throttled", "load_average", "battery_percent"), None),
    "cores": [],
    "pinned": False,
}
"""What a page learns of its machine's state: nothing."""


@dataclass(frozen=True)
class Prepared:
    """A job's model and samples, and what its outputs look like."""

    file: agent.ModelFile
    samples: Any
    """(N, *shape), or by name; None for random inputs."""
    feeds: list[list[NDArray[Any]]]
    """Inputs that are measured, one list a sample."""
    batch: int
    """Samples that run at once for the answers."""
    answer: NDArray[Any] | None
    """This machine's answer to the first sample, for its type and shape; None without samples."""
    warnings: list[str]

    @property
    def count(self) -> int:
        """Samples whose answers are wanted."""
        return 0 if self.samples is None else agent.count(self.samples)

    def part(self, number: int) -> slice:
        """The samples of a part of the test data."""
        return slice(number * agent.BATCH, min((number + 1) * agent.BATCH, self.count))


def prepare(file: agent.ModelFile, job: dict[str, Any]) -> Prepared:
    """Reads a job's samples for a model, or makes random inputs.

    Raises:
        StageError: they do not fit.
    """
    file.wanted = job.get("answer")
    warnings: list[str] = []
    try:
        samples = _read(job.get("inputs"))
        if samples is None:
            return Prepared(file, None, agent.random_inputs(file, warnings), 1, None, warnings)
        few = file.prepare(agent.part(samples, slice(agent.ROTATE)))
        feeds = [[value[i : i + 1] for value in few] for i in range(len(few[0]))]
        answer = file.run_raw(agent.part(samples, slice(1))) if job.get("outputs") else None
    except agent.AgentError as error:
        raise StageError(error.what, where=error.where, fix=error.fix) from error
    batch = 1 if file.inputs[0][1][:1] == (1,) else agent.BATCH
    return Prepared(file, samples, feeds, batch, answer, warnings)


def _read(paths: str | dict[str, str] | None) -> Any:
    if paths is None:
        return None
    if isinstance(paths, dict):
        return {name: np.load(path, mmap_mode="r", allow_pickle=False)
                for name, path in paths.items()}  # fmt: skip
    return np.load(paths, mmap_mode="r", allow_pickle=False)


def make_work(
    number: int, prepared: Prepared, job: dict[str, Any], address: str, title: str
) -> Work:
    """What the page is told to do.

    Args:
        number: of the job, from 1.
        address: where it fetches the file.
        title: names the file on the page.
    """
    file, threads = prepared.file, int(job.get("threads", 1))
    parts = range(0) if prepared.answer is None else range(-(-prepared.count // agent.BATCH))
    inputs, outputs = _names(file)
    order = {
        "number": number,
        "title": title,
        "runtime": RUNTIMES[file.runtime][1],
        "backend": "wasm" if threads else "webgpu",
        "threads": threads,
        "model": address,
        "inputs": [
            {"name": name, "type": str(value.dtype), "shape": list(value.shape)}
            for name, value in zip(inputs, prepared.feeds[0], strict=True)
        ],
        "feeds": len(prepared.feeds),
        "answer": outputs[file.answer],
        "batch": prepared.batch,
        "parts": [_length(prepared.part(part)) for part in parts],
        "answer_type": None if prepared.answer is None else str(prepared.answer.dtype),
        **{name: job[name] for name in LENGTHS if name in job},
    }
    return Work(
        number=number,
        order=order,
        feeds=b"".join(_octets(feed) for feed in prepared.feeds),
        chunk=lambda part: _octets(file.prepare(agent.part(prepared.samples, prepared.part(part)))),
        expected=[_length(prepared.part(p)) * _answer_bytes(prepared) for p in parts],
    )


def _names(file: agent.ModelFile) -> tuple[list[str], list[str]]:
    """What the browser's runtime calls the file's inputs and outputs.

    LiteRT.js knows a signature's names, where a file has one, and Python's interpreter tells both.
    """
    own = [name for name, _shape, _dtype in file.inputs], file.outputs_named
    if not isinstance(file, agent.TfliteFile):
        return own
    interpreter: Any = file._interpreter
    if not interpreter.get_signature_list():
        return own
    signature = interpreter.get_signature_runner(next(iter(interpreter.get_signature_list())))
    found = []
    for told, names in zip(
        (signature.get_input_details(), signature.get_output_details()), own, strict=True
    ):
        called = {details["name"]: key for key, details in told.items()}
        found.append([called.get(name, name) for name in names])
    return found[0], found[1]


def _octets(arrays: Sequence[NDArray[Any]]) -> bytes:
    return b"".join(np.ascontiguousarray(value).tobytes() for value in arrays)


def _length(part: slice) -> int:
    return part.stop - part.start


def _answer_bytes(prepared: Prepared) -> int:
    assert prepared.answer is not None
    return prepared.answer[0].nbytes


def read_work(
    work: Work, prepared: Prepared, versions: dict[str, str]
) -> tuple[dict[str, Any], NDArray[np.float32] | None]:
    """The result of a job as the agent's docstring has it, and the outputs (N, ...) if asked for.

    Raises:
        StageError: the page answered something else.
    """
    told, file = work.result or {}, prepared.file
    try:
        times = np.frombuffer(work.times, "<f8") * 1e3
        if not len(times) or not np.isfinite(times).all() or times.min() <= 0:
            raise ValueError("no times")
        result = _result(told, times, prepared)
        outputs = None
        if prepared.answer is not None:
            raw = b"".join(work.outputs[part] for part in range(len(work.expected)))
            shape = (prepared.count, *prepared.answer.shape[1:])
            outputs = file.real(np.frombuffer(raw, prepared.answer.dtype).reshape(shape))
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise StageError(
            "The browser's answer is not whole.",
            where=f"{work.order['title']}: {error}",
            fix="run the same command again",
        ) from error
    name, package = RUNTIMES[file.runtime]
    return {
        **result,
        "runtime": name,
        "runtime_version": versions[package],
        "threads": work.order["threads"],
    }, outputs


def _result(told: dict[str, Any], times: NDArray[Any], prepared: Prepared) -> dict[str, Any]:
    found = {"times": times, "before": STATE, "after": STATE, "waited": None}
    batch, disturbed = int(told["batch"]), agent.disturbances(found)
    warnings = list(prepared.warnings)
    if batch > 1:
        warnings.append(
            f"the browser's clock tells {_finite(told['timer_us']):.3g} µs, so {batch} runs are "
            "timed together: p90 to p99, the least and the most are those of their means"
        )
    if told.get("hidden"):
        disturbed = [*disturbed, "the page was in the background, where browsers slow it down"]
    warmup = told["warmup"]
    return {
        "ok": True,
        "load_ms": _finite(told["load_ms"]),
        "first_us": _finite(told["first_us"]),
        "latency_us": agent.distribution(times),
        "quantiles_us": [round(float(q), 3) for q in np.percentile(times / 1e3, agent.PER_MILLE)],
        "warmup": {
            "runs": int(warmup["runs"]),
            "seconds": _finite(warmup["seconds"]),
            "mean_us": _finite(warmup["mean_us"]),
            "steady": bool(warmup["steady"]),
        },
        "energy_uj": None,
        "waited": None,
        "before": STATE,
        "after": STATE,
        "ends_us": [float(times[0]) / 1e3, float(times[-1]) / 1e3],
        "peak_rss_bytes": int(told["memory"]),
        "rss_growth_bytes": int(told["memory_growth"]),
        "rss_load_bytes": int(told["memory_load"]),
        "batch": batch,
        "disturbed": disturbed,
        "warnings": warnings + disturbed,
    }


def _finite(told: Any) -> float:
    """A figure; Python's JSON takes NaN and Infinity for numbers, which no result may hold."""
    value = float(told)
    if not math.isfinite(value):
        raise ValueError(f"{value} is no figure")
    return value


def model_title(path: Path, threads: int) -> str:
    """A measurement in a few words, for the page and errors."""
    plural = "" if threads == 1 else "s"
    return f"{path.name}, {f'{threads} thread{plural}' if threads else 'WebGPU'}"
