"""Runs and measures a deployed model: `python agent.py JOB.json RESULT.json`.

This one file is all that a device needs beside numpy and a runtime (onnxruntime, or
ai-edge-litert or tflite-runtime), on Python 3.9 or newer. It imports nothing of edgekd.

JOB:
    model            path of an .onnx, .ort or .tflite file; left out: only the machine's facts
    threads          threads of the runtime (1)
    warmup_seconds   runs that are not counted, after the first one: until they are steady, and at
                     most so long (0.6)
    warmup_runs      at least this many of them (1)
    min_runs         measure until both this many runs ... (200)
    min_seconds      ... and this many seconds are reached (3.0) ...
    max_seconds      ... but no longer than this (no bound)
    inputs           .npy, float32, normalised, channels first (N, *shape), or of a model with
                     several inputs {name: .npy} (int32 for codes); random without it
    answer           name of the output with the answer, of a file that does not tell; the first
    load_only        true: load the model, and neither run nor measure it
    labels           .npy, whole numbers (N,): counts the right answers
    samples          path to write every measured time to, .npy, int64 nanoseconds
    turns            {others, seconds}: this file and others, each {model, inputs}, take turns,
                     afterwards; see `take_turns`
    profile          true: runs with the runtime's own profiler, and measures nothing else
    profiler         of a .tflite file: path of litert_profile.py, which knows LiteRT's
    stream           {fps, deadline_ms, seconds}: frames that come at a fixed rate, afterwards
    offline          {seconds, batch}: all samples at once, afterwards; see `offline`
    predictions      path to write the answers to, .npy, int64 (N,): the largest output's number
    outputs          path to write all outputs to, .npy, float32 (N, C); a bare name lies in the
                     job's folder
RESULT:
    ok, and if not: error, where, fix
    runtime, runtime_version, threads, machine {...}
    exact_products   of ONNX Runtime: `session.x64quantprecision` is set; None of others
    load_ms, first_us, warmup {runs seconds mean_us steady}
    latency_us       {p50 p90 p95 p99 mean std mad min max n outliers}
    quantiles_us     1001 of them; ends_us: the first and the last run
    energy_uj        an inference's; None without a counter
    waited           share of their time that threads were ready to run and had no core, or None
    before, after    the machine, see `machine_state`
    peak_rss_bytes, rss_growth_bytes (of it, rss_load_bytes by loading)
    correct, n       with labels
    warnings         what makes the figures doubtful; of it, `disturbed` may go by measuring again
    blocks_us        with turns: of each file, this one first, the lower quartiles of its blocks
    profile          [{name op us calls}], or profile_note, which says why there is none
    stream           {fps deadline_ms seconds frames missed late busy latency_us}, see `stream`
    instructions     [of an inference, several times], where an emulator counts them: the variable
                     EDGEKD_COUNTER then names the file that its plugin writes to
    offline          {samples_per_s batch samples seconds note}, see `offline`

Only the invocation is timed, at batch 1, its inputs already in place. Memory is read after the
warm-up, so that neither the timings nor the test data count; its growth starts after the runtime
is imported. All figures of the machine are those of the measured runs, without loading and warm-up.
"""

from __future__ import annotations

import array
import contextlib
import gc
import glob
import importlib.util
import json
import mmap
import os
import platform
import struct
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

METADATA_NAME = "edgekd"
BATCH = 256
ROTATE = 32  # measured inputs: enough to defeat a lucky one, few enough to stay in the cache
DRIFT = 0.1
STEADY, STEADY_BLOCKS, BLOCK_SECONDS = 0.02, 3, 0.01
"""Runs are steady when the medians of three successive blocks of 10 ms lie within 2 %."""
PER_MILLE = np.linspace(0, 100, 1001)
WAITED = 0.02
SLOWER_CLOCK = 0.95
OUTLIER_RANGES = 3.0
"""Tukey 1977, "far out": beyond the quartiles by three times the range between them."""
LEAST_PROBABILITY = 1e-9
COUNTER, MARK = "EDGEKD_COUNTER", 0x65646B64
UNCOUNTED, COUNTED = 8, 7
"""Inferences that an emulator does not count, as Python's interpreter still adapts, and counts."""

Samples = Any
"""An array (N, *shape), or of a model with several inputs a dictionary of such arrays by name."""


class AgentError(Exception):
    """A failure that is explained: what happened, where, and what to do next."""

    def __init__(self, what: str, where: str = "", fix: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.fix = fix


# ---------------------------------------------------------------- metadata of a TFLite file
# FlatBuffers (https://flatbuffers.dev/internals): a table starts with the signed distance back to
# its vtable, which lists the position of each field; strings, vectors and tables in fields are
# reached by an unsigned distance forward. Field numbers are those of TFLite's schema.fbs.

MODEL_BUFFERS, MODEL_METADATA = 4, 6
METADATA_FIELD_NAME, METADATA_FIELD_BUFFER = 0, 1
BUFFER_DATA, BUFFER_OFFSET, BUFFER_SIZE = 0, 1, 2


class FlatBuffer:
    """Reads a FlatBuffer; every position is checked, a wrong one is an `AgentError`."""

    def __init__(self, data: Any, where: str) -> None:
        self.data = data
        self.where = where

    def damaged(self) -> AgentError:
        return AgentError(
            "This TFLite file is damaged or cut off.", self.where, "copy or export it again"
        )

    def number(self, form: str, at: int) -> int:
        if not 0 <= at <= len(self.data) - struct.calcsize(form):
            raise self.damaged()
        return int(struct.unpack_from(form, self.data, at)[0])

    def field(self, table: int, slot: int) -> int | None:
        """Position of a table's field, None where it is left out."""
        vtable = table - self.number("<i", table)
        if 6 + 2 * slot > self.number("<H", vtable):
            return None
        distance = self.number("<H", vtable + 4 + 2 * slot)
        return table + distance if distance else None

    def scalar(self, table: int, slot: int, form: str) -> int:
        at = self.field(table, slot)
        return 0 if at is None else self.number(form, at)

    def vector(self, table: int, slot: int, item_bytes: int) -> tuple[int, int]:
        """Position of the first item, and the number of items."""
        at = self.field(table, slot)
        if at is None:
            return 0, 0
        start = at + self.number("<I", at)
        count = self.number("<I", start)
        self.check(start + 4, count * item_bytes)
        return start + 4, count

    def check(self, start: int, size: int) -> None:
        if not 0 <= start <= len(self.data) - size:
            raise self.damaged()

    def octets(self, table: int, slot: int) -> bytes:
        start, count = self.vector(table, slot, 1)
        return bytes(self.data[start : start + count])

    def tables(self, table: int, slot: int) -> list[int]:
        start, count = self.vector(table, slot, 4)
        return [at + self.number("<I", at) for at in range(start, start + 4 * count, 4)]


def tflite_metadata(data: Any, where: str = "") -> dict[str, Any] | None:
    """The `edgekd` entry of a TFLite file's metadata, None where it has none.

    Args:
        data: the file's content, bytes or a memory map.
        where: names the file in errors.

    Raises:
        AgentError: it is no TFLite file, or damaged.
    """
    if len(data) < 8 or bytes(data[4:8]) != b"TFL3":
        raise AgentError("This is not a TFLite file.", where)
    buffer = FlatBuffer(data, where)
    model = buffer.number("<I", 0)
    buffers = buffer.tables(model, MODEL_BUFFERS)
    for entry in buffer.tables(model, MODEL_METADATA):
        if buffer.octets(entry, METADATA_FIELD_NAME) != METADATA_NAME.encode():
            continue
        number = buffer.scalar(entry, METADATA_FIELD_BUFFER, "<I")
        if number >= len(buffers):
            raise buffer.damaged()
        text = buffer.octets(buffers[number], BUFFER_DATA)
        offset = buffer.scalar(buffers[number], BUFFER_OFFSET, "<Q")
        if offset > 1:  # files above 2 GB keep their buffers behind the FlatBuffer
            size = buffer.scalar(buffers[number], BUFFER_SIZE, "<Q")
            buffer.check(offset, size)
            text = bytes(data[offset : offset + size])
        return parse_metadata(text, where)
    return None


def parse_metadata(text: str | bytes, where: str) -> dict[str, Any]:
    """The JSON of a deployed file's `edgekd` entry.

    Raises:
        AgentError: it is not JSON, or not an object.
    """
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise AgentError(
            "The edgekd entry of this file is not readable.", where, "export it again with edgekd"
        )
    return found


# ---------------------------------------------------------------- a model, loaded


class ModelFile:
    """A model file in its runtime.

    `place` prepares inputs once, `use` puts them in, `invoke` computes, `outputs` reads: this way
    the measurement can time `invoke` alone.
    """

    runtime = ""
    version = ""
    where = ""
    metadata: dict[str, Any] | None = None
    inputs: list[tuple[str, tuple[int, ...], Any]]
    """Name, shape (an open dimension is -1) and numpy type."""
    outputs_named: list[str]
    input_scales: list[dict[str, Any] | None] = []  # noqa: RUF012
    """Scale and zero point of each input, where the format itself keeps them, or None."""
    output_scales: list[dict[str, Any] | None] = []  # noqa: RUF012
    exact_products: bool | None = None
    """Of ONNX Runtime: whether int8 products are summed exactly on every processor."""
    wanted: str | None = None
    """The output with the answer, of a file that does not tell."""

    def place(self, arrays: list[np.ndarray]) -> Any:
        raise NotImplementedError

    def use(self, placed: Any) -> None:
        raise NotImplementedError

    def invoke(self) -> None:
        raise NotImplementedError

    def outputs(self) -> list[np.ndarray]:
        raise NotImplementedError

    def profile(
        self, arrays: list[np.ndarray], profiler: str | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        """Time by operator in microseconds a call, from a session of its own, and a note where
        there is none.

        Args:
            arrays: inputs as the file takes them.
            profiler: path of litert_profile.py.
        """
        raise NotImplementedError

    def prepare(self, x: Samples) -> list[np.ndarray]:
        """Normalised samples (B, *shape), channels first, in the file's layout and types, one array
        an input of the file.

        Raises:
            AgentError: a shape is not the model's, an input is missing, or a value is not finite.
        """
        if self.metadata is None:
            return [self._foreign(x)]
        return [self._prepared(name, x, dtype) for name, _shape, dtype in self.inputs]

    def _prepared(self, name: str, x: Samples, dtype: Any) -> np.ndarray:
        assert self.metadata is not None
        given = self.metadata["model"]["input"]
        scales = self.metadata["input_quantization"]
        if "inputs" in given:
            given = {part["name"]: part for part in given["inputs"]}.get(name)
            scales = (self.metadata["input_quantizations"] or {}).get(name)
            if given is None or not isinstance(x, dict) or name not in x:
                raise AgentError(f"There are no samples for the input {name}.", self.where)
            x = x[name]
        if isinstance(x, dict):
            raise AgentError("This model has one input, and samples of several came.", self.where)
        x, wanted = np.asarray(x), tuple(given["shape"])
        baked = self.metadata["preprocess"] == "baked"
        if baked and given.get("sound"):  # the file makes the features itself
            wanted = (int(given["sound"]["samples"]),)
        if x.shape[1:] != wanted:
            raise AgentError(
                f"Samples have the shape {x.shape[1:]}, the model takes {wanted}.", self.where
            )
        if baked and len(wanted) == len(given["shape"]):
            x = raw_numbers(x, given, dtype)
        if self.metadata["layout"] == "NHWC" and len(wanted) == 3:
            x = np.moveaxis(x, 1, -1)
        if np.dtype(dtype) == np.int8:
            return quantize(x, scales, self.where)
        return np.ascontiguousarray(x, dtype=dtype)

    def _foreign(self, x: Samples) -> np.ndarray:
        _name, shape, dtype = self.inputs[0]
        if len(self.inputs) != 1 or isinstance(x, dict):
            raise AgentError(
                "Only edgekd's files and models with one input take samples.", self.where
            )
        x = np.asarray(x)
        if np.dtype(dtype) not in (np.float32, x.dtype):
            raise AgentError(f"Samples are {x.dtype}, the model takes {dtype}.", self.where)
        if any(have != want >= 0 for have, want in zip(x.shape[1:], shape[1:])):  # noqa: B905
            raise AgentError(
                f"Samples have the shape {x.shape[1:]}, the model takes {shape[1:]}.", self.where
            )
        return np.ascontiguousarray(x, dtype=dtype)

    def run_raw(self, x: Samples) -> np.ndarray:
        """What the output tensor holds for samples (B, *shape): (B, C), in the file's type."""
        if count(x, self.where) == 0:
            raise AgentError("There are no samples.", self.where)
        ready = self.prepare(x)
        step = 1 if self.inputs[0][1][:1] == (1,) else BATCH
        results = []
        for start in range(0, len(ready[0]), step):
            self.use(self.place([part[start : start + step] for part in ready]))
            self.invoke()
            results.append(np.array(self.outputs()[self.answer]))
        return np.concatenate(results)

    @property
    def answer(self) -> int:
        """Which output is the classifier's."""
        name = self.metadata["model"].get("output") if self.metadata else self.wanted
        return self.outputs_named.index(name) if name in self.outputs_named else 0

    def run(self, x: Samples) -> np.ndarray:
        """Logits float32 (B, C) of normalised samples float32 (B, *shape), channels first, or of
        several inputs by name.

        Raises:
            AgentError: the samples do not fit.
        """
        return self.real(self.run_raw(x))

    def real(self, raw: np.ndarray) -> np.ndarray:
        """Outputs as `run_raw` gives them, in float32.

        Raises:
            AgentError: they are int8, and their scale is not known.
        """
        if raw.dtype.kind in "iu" and self.metadata is None:
            scales = self.output_scales[self.answer] if self.output_scales else None
            if scales is None:
                raise AgentError(f"The scale of this {raw.dtype} output is not known.", self.where)
            return dequantize(raw, scales, self.where)
        if raw.dtype == np.int8 and self.metadata is not None:
            return dequantize(raw, self.metadata["output_quantization"], self.where)
        if self.metadata is not None and self.metadata["preprocess"] == "baked":
            return logits(raw, self.metadata["model"])
        return raw.astype(np.float32)


def count(x: Samples, where: str = "") -> int:
    """Number of samples.

    Raises:
        AgentError: inputs have different numbers of them.
    """
    lengths = {len(part) for part in (x.values() if isinstance(x, dict) else (x,))}
    if len(lengths) != 1:
        raise AgentError(f"The inputs have different numbers of samples: {lengths}.", where)
    return lengths.pop()


def part(x: Samples, where: slice) -> Samples:
    """Some of the samples."""
    if isinstance(x, dict):
        return {name: np.array(value[where]) for name, value in x.items()}
    return np.array(x[where])


def quantize(x: np.ndarray, quantization: dict[str, Any] | None, where: str = "") -> np.ndarray:
    """float32 to int8 as ONNX's QuantizeLinear: x / scale, half to even, + zero point, clipped.

    Raises:
        AgentError: no quantization is given, or a value is not finite.
    """
    if quantization is None:
        raise AgentError("The file does not tell its input's scale.", where, "export it again")
    if not np.isfinite(x).all():
        raise AgentError("A sample holds a value that is not finite.", where)
    steps = np.rint(x.astype(np.float32) / np.float32(quantization["scale"]))
    return np.clip(steps + quantization["zero_point"], -128, 127).astype(np.int8)


def dequantize(q: np.ndarray, quantization: dict[str, Any] | None, where: str = "") -> np.ndarray:
    """int8 to float32: (q - zero point) * scale.

    Raises:
        AgentError: no quantization is given.
    """
    if quantization is None:
        raise AgentError("The file does not tell its output's scale.", where, "export it again")
    steps = q.astype(np.float32) - np.float32(quantization["zero_point"])
    return steps * np.float32(quantization["scale"])


def raw_numbers(x: np.ndarray, told: dict[str, Any], dtype: Any) -> np.ndarray:
    """Normalised samples as the raw numbers that a file with baked preprocessing takes: pixels
    0 to 255 where it takes uint8.
    """
    if told["kind"] == "codes":
        return x
    channels = (1, -1) + (1,) * (x.ndim - 2)
    mean, std = (np.array(told[name], np.float32).reshape(channels) for name in ("mean", "std"))
    raw = x.astype(np.float32) * std + mean
    if np.dtype(dtype) != np.uint8:
        return raw
    return np.clip(np.rint(raw * np.float32(255 / told["peak"])), 0, 255)


def logits(answers: np.ndarray, model: dict[str, Any]) -> np.ndarray:
    """What a file with baked preprocessing answers, as the outputs of the network inside: logits of
    probabilities (of classes less a number that is the same for all), standardised targets.
    """
    wide = answers.astype(np.float64)
    if model["task"] == "regression":
        mean, std = (np.array(model[f"target_{name}"]) for name in ("mean", "std"))
        return ((wide - mean) / std).astype(np.float32)
    known = np.clip(wide, LEAST_PROBABILITY, 1)
    if model["task"] != "multilabel":
        return np.log(known).astype(np.float32)
    return (np.log(known) - np.log(np.clip(1 - wide, LEAST_PROBABILITY, 1))).astype(np.float32)


ONNX_TYPES = {
    "float": np.float32,
    "double": np.float64,
    "float16": np.float16,
    "bool": np.bool_,
    **{name: getattr(np, name) for name in ("int8", "int16", "int32", "int64")},
    **{name: getattr(np, name) for name in ("uint8", "uint16", "uint32", "uint64")},
}


def _onnx_session(path: str, threads: int, profile: str = "") -> tuple[Any, bool]:
    """The file in ONNX Runtime, and whether int8 products are summed exactly.

    Args:
        profile: how its profile's file begins; empty for none.

    x86-64 without VNNI multiplies uint8 by int8 in saturating 16-bit pairs, which is wrong for
    large weights. ONNX Runtime computes right, a little slower, only when asked; with VNNI and on
    ARM it ignores that. Files whose weights share a zero point cannot be loaded so, and are loaded
    plainly.
    """
    import onnxruntime

    for level, precise in ((4, "1"), (3, "0")):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = level
        options.add_session_config_entry("session.x64quantprecision", precise)
        if profile:
            options.enable_profiling, options.profile_file_prefix = True, profile
        try:
            providers = ["CPUExecutionProvider"]
            session = onnxruntime.InferenceSession(path, options, providers=providers)
            return session, precise == "1"
        except Exception as error:  # its classes share no public base
            problem = error
    raise AgentError(
        "ONNX Runtime cannot load this file.", f"{path}: {_short(problem)}"
    ) from problem


PROFILE_RUNS, PROFILE_SECONDS = 100, 10.0
"""So many runs, or for so long."""


class OnnxFile(ModelFile):
    """An .onnx or .ort file in ONNX Runtime's CPU provider."""

    runtime = "onnxruntime"

    def __init__(self, path: str, threads: int = 1) -> None:
        import onnxruntime

        self.version = onnxruntime.__version__
        self.where = path
        self._threads = threads
        self._session, self.exact_products = _onnx_session(path, threads)
        self.inputs = [
            (i.name, tuple(d if isinstance(d, int) else -1 for d in i.shape), _onnx_type(i))
            for i in self._session.get_inputs()
        ]
        self.outputs_named = [o.name for o in self._session.get_outputs()]
        text = self._session.get_modelmeta().custom_metadata_map.get(METADATA_NAME)
        self.metadata = None if text is None else check_metadata(parse_metadata(text, path), path)

    def place(self, arrays: list[np.ndarray]) -> Any:
        binding = self._session.io_binding()
        for (name, _shape, _dtype), value in zip(self.inputs, arrays):  # noqa: B905
            binding.bind_cpu_input(name, value)
        for name in self.outputs_named:
            binding.bind_output(name, "cpu")
        return binding, arrays  # a binding does not keep its arrays alive

    def use(self, placed: Any) -> None:
        self._binding = placed[0]

    def invoke(self) -> None:
        self._session.run_with_iobinding(self._binding)

    def outputs(self) -> list[np.ndarray]:
        return self._binding.copy_outputs_to_cpu()

    def profile(
        self, arrays: list[np.ndarray], profiler: str | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        feed = {name: value for (name, _shape, _dtype), value in zip(self.inputs, arrays)}  # noqa: B905
        with tempfile.TemporaryDirectory() as folder:
            prefix = os.path.join(folder, "profile")  # noqa: PTH118
            session, _exact = _onnx_session(self.where, self._threads, prefix)
            end = time.perf_counter() + PROFILE_SECONDS
            runs = 0
            while runs < 2 or (runs < PROFILE_RUNS and time.perf_counter() < end):
                session.run(None, feed)
                runs += 1
            with open(session.end_profiling(), encoding="utf-8") as file:
                events = json.load(file)
        return onnx_operators(events, runs // 2), ""


def onnx_operators(events: list[dict[str, Any]], cold: int) -> list[dict[str, Any]]:
    """The operators of ONNX Runtime's profile (events as Chrome's tracing has them), in the order
    of their first call: name, op, microseconds (the mean of a call, without the slowest tenth, in
    which others took the core) and calls.

    Args:
        cold: so many calls of each are left out.
    """
    times: dict[tuple[str, str], list[float]] = {}
    for event in events:
        name, end = str(event.get("name", "")), "_kernel_time"
        if event.get("cat") == "Node" and name.endswith(end):
            key = name[: -len(end)], str(event["args"].get("op_name", ""))
            times.setdefault(key, []).append(float(event["dur"]))
    return [
        {"name": name, "op": op, "us": usual(all_[cold:] or all_), "calls": len(all_)}
        for (name, op), all_ in times.items()
    ]


def usual(times: list[float]) -> float:
    """The mean without the slowest tenth."""
    kept = -(-9 * len(times) // 10)
    return float(np.mean(np.sort(times)[:kept]))


def _onnx_type(value: Any) -> Any:
    return ONNX_TYPES.get(value.type.replace("tensor(", "").rstrip(")"), np.object_)


class TfliteFile(ModelFile):
    """A .tflite file in LiteRT with its default delegate, XNNPACK."""

    runtime = "litert"

    def __init__(self, path: str, threads: int = 1) -> None:
        interpreter, self.version = _import_litert()
        self.where = path
        self._threads = threads
        with _mapped(path) as data:
            found = tflite_metadata(data, path)
        self.metadata = None if found is None else check_metadata(found, path)
        with _stderr_kept() as said:
            try:
                self._interpreter = interpreter(model_path=path, num_threads=threads)
                self._interpreter.allocate_tensors()
            except (ValueError, RuntimeError) as error:
                detail = _short(error) or said()
                raise AgentError("LiteRT cannot load this file.", f"{path}: {detail}") from error
        details = self._interpreter.get_input_details()
        self.inputs = [(d["name"], tuple(int(n) for n in d["shape"]), d["dtype"]) for d in details]
        self._input_indices = [d["index"] for d in details]
        self.input_scales = [_tensor_scale(d) for d in details]
        details = self._interpreter.get_output_details()
        self.outputs_named = [d["name"] for d in details]
        self._output_indices = [d["index"] for d in details]
        self.output_scales = [_tensor_scale(d) for d in details]

    def place(self, arrays: list[np.ndarray]) -> Any:
        return arrays

    def use(self, placed: Any) -> None:
        for index, value in zip(self._input_indices, placed):  # noqa: B905
            self._interpreter.set_tensor(index, value)

    def invoke(self) -> None:
        self._interpreter.invoke()

    def outputs(self) -> list[np.ndarray]:
        return [self._interpreter.get_tensor(index) for index in self._output_indices]

    def profile(
        self, arrays: list[np.ndarray], profiler: str | None = None
    ) -> tuple[list[dict[str, Any]], str]:
        if profiler is None:
            return [], "LiteRT's profiler is not here"
        known = importlib.util.spec_from_file_location("litert_profile", profiler)
        assert known is not None and known.loader is not None
        module = importlib.util.module_from_spec(known)
        known.loader.exec_module(module)
        names = [name for name, _shape, _dtype in self.inputs]
        feed = dict(zip(names, arrays))  # noqa: B905
        try:
            with _stderr_kept():
                runs, events = module.profile(
                    self.where, self._threads, feed, PROFILE_RUNS, PROFILE_SECONDS
                )
        except module.ProfileError as error:
            return [], str(error)
        return module.operators(events, runs // 2, usual), ""


def _tensor_scale(details: dict[str, Any]) -> dict[str, Any] | None:
    """Scale and zero point of a TFLite tensor; a scale of 0 says that it has none."""
    scale, zero_point = details["quantization"]
    return {"scale": float(scale), "zero_point": int(zero_point)} if scale else None


def check_metadata(found: dict[str, Any], where: str) -> dict[str, Any]:
    """`found` if it has the fields that running the file needs.

    Raises:
        AgentError: one is missing or has another form.
    """
    model = found.get("model")
    given = model.get("input") if isinstance(model, dict) else None
    parts = given.get("inputs", [given]) if isinstance(given, dict) else []
    shapes = [part.get("shape") if isinstance(part, dict) else None for part in parts]
    whole = bool(shapes) and all(
        isinstance(shape, list) and all(isinstance(size, int) for size in shape) for shape in shapes
    )
    named = len(shapes) == 1 or all("name" in part for part in parts)
    ends = [found.get(f"{end}_quantization") for end in ("input", "output")]
    several = found.get("input_quantizations")
    scales = [*ends, *(several.values() if isinstance(several, dict) else [])]
    scaled = all(
        scale is None
        or (isinstance(scale, dict) and {"scale", "zero_point"} <= scale.keys() and scale["scale"])
        for scale in scales
    )
    known = found.get("layout") in ("NCHW", "NHWC", "NF", "NCT")
    if not whole or not named or not scaled or not known:
        raise AgentError(
            "The edgekd entry of this file lacks fields.", where, "export it again with edgekd"
        )
    return {
        **found,
        "preprocess": found.get("preprocess", "app"),
        "input_quantization": ends[0],
        "output_quantization": ends[1],
        "input_quantizations": several if isinstance(several, dict) else None,
    }


def load(path: str, threads: int = 1) -> ModelFile:
    """The model of a file, ready to run.

    Raises:
        AgentError: no such file, another format, a damaged file, or the runtime is missing.
    """
    if not os.path.isfile(path):  # noqa: PTH113
        raise AgentError("There is no such model file.", path)
    kinds = {".onnx": OnnxFile, ".ort": OnnxFile, ".tflite": TfliteFile}
    suffix = os.path.splitext(path)[1].lower()  # noqa: PTH122
    if suffix not in kinds:
        raise AgentError("This is neither an .onnx, .ort nor .tflite file.", path)
    if os.path.getsize(path) == 0:  # noqa: PTH202
        raise AgentError("This model file is empty.", path, "copy or export it again")
    import_runtime(path)
    return kinds[suffix](path, threads)


def import_runtime(path: str) -> None:
    """Imports the runtime that a file needs, so that its memory is not counted as the model's.

    Raises:
        AgentError: it is not installed.
    """
    if path.lower().endswith(".tflite"):
        _import_litert()
        return
    try:
        import onnxruntime  # noqa: F401
    except ImportError as error:
        raise AgentError(
            "ONNX Runtime is not installed here.", str(error), "pip install onnxruntime"
        ) from error


def _import_litert() -> tuple[Callable[..., Any], str]:
    from importlib import metadata

    try:
        from ai_edge_litert.interpreter import Interpreter

        return Interpreter, metadata.version("ai-edge-litert")
    except ImportError as error:
        first = error
    try:
        from tflite_runtime.interpreter import Interpreter  # type: ignore[import-not-found]

        return Interpreter, metadata.version("tflite-runtime")
    except ImportError as error:
        raise AgentError(
            "LiteRT is not installed here.", str(first), "pip install ai-edge-litert"
        ) from error


def _short(error: BaseException) -> str:
    return " ".join(str(error).split())[:400]


@contextlib.contextmanager
def _mapped(path: str) -> Iterator[Any]:
    """A file's content without reading it: a large model must not count twice."""
    with open(path, "rb") as file:
        data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        with data:
            yield data


@contextlib.contextmanager
def _stderr_kept() -> Iterator[Callable[[], str]]:
    """Keeps what native code writes to stderr: LiteRT reports its delegate for every model."""
    sys.stderr.flush()
    before = os.dup(2)
    with tempfile.TemporaryFile() as kept:

        def said() -> str:
            kept.seek(0)
            return kept.read().decode("utf-8", "replace").strip()[-400:]

        os.dup2(kept.fileno(), 2)
        try:
            yield said
        finally:
            os.dup2(before, 2)
            os.close(before)


# ---------------------------------------------------------------- the machine

INSTRUCTIONS = (
    *("sse4_1", "avx", "avx2", "fma", "f16c", "avx_vnni", "avx512f", "avx512bw", "avx512vl"),
    *("avx512_vnni", "avx512_bf16", "avx512_fp16", "amx_tile", "amx_int8", "amx_bf16"),
    *("neon", "asimd", "asimdhp", "asimddp", "i8mm", "bf16", "sve", "sve2", "sme"),
)


def machine_facts() -> dict[str, Any]:
    """What of this machine decides times: see the keys. What cannot be read is None or empty."""
    cpu = _cpuinfo()
    affinity = getattr(os, "sched_getaffinity", None)
    average = getattr(os, "getloadavg", None)
    return {
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "processor": _processor(cpu),
        "cores": len(affinity(0)) if affinity else os.cpu_count() or 1,
        "memory_bytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "instructions": [name for name in INSTRUCTIONS if name in cpu["flags"]],
        "governor": _text("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        "load_average": average()[0] if average else None,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "runtimes": _runtimes(),
    }


def _runtimes() -> dict[str, str]:
    """The installed runtimes' versions, without importing them."""
    from importlib import metadata

    found = {}
    for name in ("onnxruntime", "ai-edge-litert", "tflite-runtime"):
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[name] = metadata.version(name)
    return found


def _cpuinfo() -> dict[str, Any]:
    """Names and flags of /proc/cpuinfo; x86 says `flags`, Arm `Features`."""
    names: dict[str, str] = {}
    for line in (_text("/proc/cpuinfo") or "").splitlines():
        name, _colon, value = line.partition(":")
        names.setdefault(name.strip(), value.strip())
    return {"names": names, "flags": names.get("flags", names.get("Features", "")).split()}


def _processor(cpu: dict[str, Any]) -> str:
    board = (_text("/proc/device-tree/model") or "").strip("\0")
    names = (cpu["names"].get(key) for key in ("model name", "Model", "Hardware"))
    return next((name for name in (*names, board) if name), "") or (
        platform.processor() or platform.machine()
    )


def machine_state() -> dict[str, Any]:
    """What of this machine changes while it measures. What cannot be read is None."""
    cores = sorted(getattr(os, "sched_getaffinity", lambda _pid: range(os.cpu_count() or 1))(0))
    cpu = "/sys/devices/system/cpu/cpu{}/"
    clocks = _numbers([cpu.format(c) + "cpufreq/scaling_cur_freq" for c in cores])
    governors = {_text(cpu.format(c) + "cpufreq/scaling_governor") for c in cores} - {None}
    heat = _numbers(glob.glob("/sys/class/thermal/thermal_zone*/temp"))  # noqa: PTH207
    throttles = _numbers(
        [cpu.format(c) + f"thermal_throttle/{of}_throttle_count" for c in cores for of in SCOPES]
    )
    battery = _numbers(glob.glob("/sys/class/power_supply/*/capacity"))  # noqa: PTH207
    average = getattr(os, "getloadavg", None)
    return {
        "governor": ", ".join(sorted(str(name) for name in governors)) or None,
        "clock_mhz": sum(clocks) / len(clocks) / 1e3 if clocks else None,
        "temperature_c": max(heat) / 1e3 if heat else None,
        "throttles": int(sum(throttles)) if throttles else None,
        "firmware_throttled": _hexadecimal(_text(RASPBERRY)),
        "load_average": average()[0] if average else None,
        "cores": cores,
        "pinned": len(cores) < (os.cpu_count() or 1),
        "battery_percent": min(battery) if battery else None,
    }


SCOPES = ("core", "package")
RASPBERRY = "/sys/devices/platform/soc/soc:firmware/get_throttled"
"""The Raspberry Pi's own word: bits 0 to 3 say what is now (too little voltage, clock capped,
throttled, warm), 16 to 19 what has been."""
THROTTLED_NOW = 0xF


def _numbers(paths: list[str]) -> list[float]:
    found = []
    for path in paths:
        with contextlib.suppress(ValueError):
            found.append(float(_text(path) or ""))
    return found


def _hexadecimal(text: str | None) -> int | None:
    with contextlib.suppress(ValueError):
        return int(text or "", 16)
    return None


POWERCAP = "/sys/class/powercap"
"""Where Linux keeps the counters of energy."""


def energy_uj() -> dict[str, tuple[int, int]] | None:
    """Intel's and AMD's counters of the processor packages (RAPL), microjoules since some time,
    with the value at which each starts again; None where there are none that may be read.
    """
    found = {}
    for zone in glob.glob(f"{POWERCAP}/intel-rapl:[0-9]*"):  # noqa: PTH207
        name = _text(f"{zone}/name") or ""
        values = _numbers([f"{zone}/energy_uj", f"{zone}/max_energy_range_uj"])
        if name.startswith("package") and len(values) == 2:
            found[zone] = (int(values[0]), int(values[1]))
    return found or None


def energy_between(before: Any, after: Any) -> float | None:
    """Microjoules between two readings of `energy_uj`; a counter that started again counts on."""
    if not before or not after or before.keys() != after.keys():
        return None
    total = 0
    for zone, (start, span) in before.items():
        used = after[zone][0] - start
        total += used if used >= 0 else used + span
    return float(total)


def _waiting_ns() -> int | None:
    """How long the threads of this process were ready to run and had no core (Linux, schedstat)."""
    total, known = 0, False
    for path in glob.glob("/proc/self/task/*/schedstat"):  # noqa: PTH207
        words = (_text(path) or "").split()
        if len(words) == 3:
            total, known = total + int(words[1]), True
    return total if known else None


def _text(path: str) -> str | None:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read().strip()
    except OSError:
        return None


def _rss(name: str) -> int:
    """`VmRSS` (now) or `VmHWM` (peak) in bytes.

    Unlike getrusage's ru_maxrss, which outlives exec, VmHWM knows nothing of the parent process.
    """
    for line in (_text("/proc/self/status") or "").splitlines():
        if line.startswith(f"{name}:"):
            return int(line.split()[1]) * 1024
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _reset_peak() -> None:
    """Lets VmHWM start again from now, where the kernel allows it (proc(5), clear_refs)."""
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")


# ---------------------------------------------------------------- measuring


def random_inputs(model: ModelFile, warnings: list[str]) -> list[list[np.ndarray]]:
    """One set of inputs by the model's own shapes and types; open dimensions become 1.

    Raises:
        AgentError: an input's type has no random values, such as text.
    """
    generator = np.random.default_rng(0)
    arrays = []
    for name, shape, dtype in model.inputs:
        if any(size < 0 for size in shape[1:]):
            warnings.append(f"input {name} has open dimensions {list(shape)}: measured with 1")
        fixed = tuple(max(size, 1) for size in shape)
        kind = np.dtype(dtype)
        if kind.kind == "f":
            value = generator.standard_normal(fixed).astype(kind)
        elif kind in (np.int8, np.uint8):
            limits = np.iinfo(kind)
            value = generator.integers(limits.min, limits.max, fixed, kind, endpoint=True)
        elif kind.kind in "iub":  # 0 and 1 are valid wherever numbers are indices
            value = generator.integers(0, 2, fixed).astype(kind)
        else:
            raise AgentError(f"Input {name} is of a type that cannot be made up.", model.where)
        arrays.append(value)
    return [arrays]


def measure(model: ModelFile, feeds: list[list[np.ndarray]], job: dict[str, Any]) -> dict[str, Any]:
    """Times single invocations, with the garbage collector off; see this file's docstring."""
    placed = [model.place(arrays) for arrays in feeds]
    model.use(placed[0])
    clock = time.perf_counter_ns
    start = clock()
    model.invoke()
    first = clock() - start
    times = array.array("q")
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    try:
        warmup = _warm_up(model, placed, job)
        peak = _rss("VmHWM")
        least = max(1, int(job.get("min_runs", 200)))
        most, threads = float(job.get("max_seconds") or float("inf")), int(job.get("threads", 1))
        before, energy, waiting, begin = machine_state(), energy_uj(), _waiting_ns(), clock()
        _runs(model, placed, times, least, float(job.get("min_seconds", 3.0)), most)
        spent, waited, used = clock() - begin, _waiting_ns(), energy_between(energy, energy_uj())
    finally:
        if collecting:
            gc.enable()
    return {
        "first_us": first / 1e3,
        "peak": peak,
        "times": np.array(times, np.int64),
        "warmup": warmup,
        "before": before,
        "after": machine_state(),
        "waited": None if waited is None else (waited - (waiting or 0)) / spent / threads,
        "energy_uj": None if used is None else used / len(times),
    }


def _warm_up(model: ModelFile, placed: list[Any], job: dict[str, Any]) -> dict[str, Any]:
    """Runs until the medians of `STEADY_BLOCKS` successive blocks lie within `STEADY` of the least,
    after at least `warmup_runs` and for at most about `warmup_seconds`.
    """
    clock, bound = time.perf_counter_ns, float(job.get("warmup_seconds", 0.6)) * 1e9
    least, begin, times = max(1, int(job.get("warmup_runs", 1))), clock(), array.array("q")
    medians: list[float] = []
    steady = False
    while len(times) < least or (not steady and clock() - begin < bound):
        block = array.array("q")
        _runs(model, placed, block, 5, BLOCK_SECONDS, max(0.0, (bound - clock() + begin) / 1e9))
        times.extend(block)
        medians.append(float(np.median(block)))
        last = medians[-STEADY_BLOCKS:]
        steady = len(last) == STEADY_BLOCKS and max(last) <= (1 + STEADY) * min(last)
    return {
        "runs": len(times),
        "seconds": (clock() - begin) / 1e9,
        "mean_us": float(np.mean(times)) / 1e3,
        "steady": steady,
    }


def _runs(
    model: ModelFile,
    placed: list[Any],
    times: array.array[int],
    least: int,
    seconds: float,
    most: float = float("inf"),
) -> None:
    clock, invoke, use, count = time.perf_counter_ns, model.invoke, model.use, len(placed)
    begin = clock()
    end, bound = begin + int(seconds * 1e9), begin + most * 1e9
    stop, run = 0, 0
    while (run < least or stop < end) and (stop < bound or run == 0):
        use(placed[run % count])
        start = clock()
        invoke()
        stop = clock()
        times.append(stop - start)
        run += 1


def take_turns(
    models: list[ModelFile], feeds: list[list[list[np.ndarray]]], seconds: float
) -> list[list[float]]:
    """Several files in turns of some milliseconds, A B B A B A A B and so on: what the machine does
    meanwhile hits neighbouring blocks alike.

    A block is the runs of one file for `TURN_SECONDS`, or one run where that takes longer, after a
    run that does not count: the file before it has taken the caches. In a turn every file has one
    block. Every second turn goes backwards, which cancels a steady drift, and each two turns start
    with the next file, so that none always follows the same one (Abedi and Brecht 2017, "Conducting
    Repeatable Experiments in Highly Variable Cloud Computing Environments", show what a fixed order
    does). The first two turns warm up, and do not count. A block is told by its lower quartile:
    other programs only ever add time (Chen and Revels 2016, "Robust Benchmarking in Noisy
    Environments").

    Args:
        models: one thread each, as further ones would spin on through the next file's block.
        feeds: of each model its inputs, which take turns as in `measure`.
        seconds: for each file, of the processor's time: where other programs take the cores, as
            many blocks are measured as elsewhere.

    Returns:
        of each model its blocks' lower quartiles in microseconds, an even number of them.
    """
    clock, numbers = time.process_time, list(range(len(models)))
    placed = [[model.place(arrays) for arrays in own] for model, own in zip(models, feeds)]  # noqa: B905
    blocks: list[list[float]] = [[] for _ in models]
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()
    turn, end = 0, 0.0
    try:
        while turn < 4 or turn % 2 or clock() < end:
            if turn == 2:
                end = clock() + seconds * len(models)
            start = turn // 2 % len(models)
            order = numbers[start:] + numbers[:start]
            for number in reversed(order) if turn % 2 else order:
                times = array.array("q")
                _runs(models[number], placed[number], array.array("q"), 1, 0.0)
                _runs(models[number], placed[number], times, 1, TURN_SECONDS)
                blocks[number].append(round(float(np.percentile(times, 25)) / 1e3, 3))
            turn += 1
    finally:
        if collecting:
            gc.enable()
    return [own[2:] for own in blocks]


TURN_SECONDS = 0.002


def stream(model: ModelFile, placed: list[Any], wanted: dict[str, Any]) -> dict[str, Any]:
    """Frames that come at a fixed rate, as from a camera. Each waits for the one before it, none is
    left out, and its latency counts from when it came: where the model is too slow, frames queue up
    and all that follow are late.

    Args:
        wanted: fps, deadline_ms (None: until the next frame) and seconds.

    Returns:
        these, and frames, missed (finished after the deadline), late (of them the share), busy (the
        share of the time that was computed), latency_us (a distribution, from the frame's coming).
    """
    clock, sleep = time.perf_counter_ns, time.sleep
    fps, seconds = float(wanted["fps"]), float(wanted["seconds"])
    deadline = float(wanted.get("deadline_ms") or 1e3 / fps)
    step, frames = 1e9 / fps, max(1, round(fps * seconds))
    latencies, computed = array.array("q"), 0
    begin = clock()
    for frame in range(frames):
        due = begin + round(frame * step)
        rest = due - clock() - SPIN_NS
        if rest > 0:
            sleep(rest / 1e9)
        while clock() < due:  # a sleep ends late by as much as a small model takes
            pass
        start = clock()
        model.use(placed[frame % len(placed)])
        model.invoke()
        end = clock()
        latencies.append(end - due)
        computed += end - start
    times = np.array(latencies, np.int64)
    missed = int((times > deadline * 1e6).sum())
    return {
        "fps": fps,
        "deadline_ms": deadline,
        "seconds": (clock() - begin) / 1e9,
        "frames": frames,
        "missed": missed,
        "late": missed / frames,
        "busy": computed / max(1, clock() - begin),
        "latency_us": distribution(times),
    }


def instructions(model: ModelFile, placed: list[Any], path: str) -> list[int]:
    """How many instructions each of `COUNTED` inferences takes, the call from Python included.

    At a mark, which is a system call that Linux refuses, the emulator's plugin adds a line to a
    file: the instructions so far. What lies between two marks without an inference is taken off.

    Args:
        path: the file.
    """
    import ctypes  # not every board's Python has it

    mark, invoke = ctypes.CDLL(None).prctl, model.invoke
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(UNCOUNTED + COUNTED):
            model.use(placed[number % len(placed)])
            mark(MARK)
            mark(MARK)
            invoke()
            mark(MARK)
    finally:
        if collecting:
            gc.enable()
    with open(path, encoding="ascii") as file:
        marks = np.array([int(line) for line in file], np.int64).reshape(-1, 3)
    between = np.diff(marks, axis=1)[UNCOUNTED:]
    return [int(found) for found in between[:, 1] - between[:, 0].min()]


SPIN_NS = 500_000


def offline(
    model: ModelFile, feeds: list[list[np.ndarray]], wanted: dict[str, Any]
) -> dict[str, Any]:
    """All samples lie in memory: how many are computed a second, their copying into the runtime
    included, in batches where the file takes such.

    Args:
        feeds: samples as the file takes them, each with a batch of 1; they take turns.
        wanted: seconds, and batch: left out, the fastest of `BATCHES`, each tried for a moment.

    Returns:
        samples_per_s, batch, samples, seconds, and note, which says what bounds the batch.
    """
    opened = isinstance(model, OnnxFile) and all(shape[:1] == (-1,) for _, shape, _ in model.inputs)
    batch, note = int(wanted.get("batch") or 0), ""
    if not opened:
        batch, note = 1, "its batch is fixed at 1: repeated one at a time"
    elif not batch:
        size = sum(array.nbytes for array in feeds[0])
        tried = [n for n in BATCHES if n == 1 or n * size <= BATCH_BYTES]
        batch, note = _fastest_batch(model, feeds, tried)
    rate, samples, seconds = _throughput(model, feeds, batch, float(wanted["seconds"]))
    told = {"samples": samples, "seconds": seconds, "note": note}
    return {"samples_per_s": rate, "batch": batch, **told}


BATCHES = (1, 2, 4, 8, 16, 32, 64, 128)
BATCH_BYTES, TRIED_SECONDS = 64 << 20, 0.1


def _fastest_batch(
    model: ModelFile, feeds: list[list[np.ndarray]], tried: list[int]
) -> tuple[int, str]:
    """The batch with most samples a second, and a note on a file that tells of an open batch and
    computes only some, such as one with a reshape to a fixed size inside.
    """
    rates, note = {}, ""
    for batch in tried:
        try:
            rates[batch] = _throughput(model, feeds, batch, TRIED_SECONDS)[0]
        except Exception:  # ONNX Runtime's classes share no public base
            if batch == 1:
                raise
            note = f"its batch is open, and {batch} samples at once are an error"
            break
    return max(rates, key=lambda n: rates[n]), note


def _throughput(
    model: ModelFile, feeds: list[list[np.ndarray]], batch: int, seconds: float
) -> tuple[float, int, float]:
    """Samples a second, samples, and seconds."""
    groups = [
        [feeds[(start + i) % len(feeds)] for i in range(batch)]
        for start in range(0, max(1, len(feeds)), batch)
    ]
    placed = [
        model.place([np.concatenate(parts) for parts in zip(*group)])  # noqa: B905
        for group in groups
    ]
    model.use(placed[0])
    model.invoke()  # shapes are new: not counted
    runs, begin = 0, time.perf_counter()
    while runs == 0 or time.perf_counter() - begin < seconds:
        model.use(placed[runs % len(placed)])
        model.invoke()
        runs += 1
    spent = time.perf_counter() - begin
    return runs * batch / spent, runs * batch, spent


def distribution(times: np.ndarray) -> dict[str, Any]:
    """Percentiles (linear interpolation), mean, standard deviation, median absolute deviation and
    range in microseconds; `outliers` are counted, and part of all of it.
    """
    us = times / 1e3
    names = {"p50": 50, "p90": 90, "p95": 95, "p99": 99, "min": 0, "max": 100}
    found: dict[str, Any] = {
        name: float(p)
        for name, p in zip(names, np.percentile(us, list(names.values())))  # noqa: B905
    }
    quarter, three_quarters = np.percentile(us, (25, 75))
    fence = OUTLIER_RANGES * max(three_quarters - quarter, 0.01 * found["p50"])
    return {
        **found,
        "mean": float(us.mean()),
        "std": float(us.std(ddof=1)) if len(us) > 1 else 0.0,
        "mad": float(np.median(np.abs(us - found["p50"]))),
        "n": len(us),
        "outliers": int(((us < quarter - fence) | (us > three_quarters + fence)).sum()),
    }


def disturbances(found: dict[str, Any]) -> list[str]:
    """What went wrong while measuring, one sentence each: measuring again may mend it."""
    before, after, said = found["before"], found["after"], []
    if found["waited"] is not None and found["waited"] > WAITED:
        said.append(f"other programs took the cores for {found['waited']:.0%} of the time")
    if before["throttles"] is not None and (after["throttles"] or 0) > before["throttles"]:
        times_throttled = after["throttles"] - before["throttles"]
        said.append(f"the processor throttled {times_throttled} times")
    if (after["firmware_throttled"] or 0) & THROTTLED_NOW:
        said.append(f"the firmware throttles (get_throttled is {after['firmware_throttled']:#x})")
    fast, slow = before["clock_mhz"] or 0.0, after["clock_mhz"]
    if slow is not None and slow < SLOWER_CLOCK * fast:
        said.append(f"the clock fell from {fast:.0f} to {slow:.0f} MHz")
    times = found["times"]
    quarter = len(times) // 4
    if quarter:
        early, late = float(np.median(times[:quarter])), float(np.median(times[-quarter:]))
        if abs(late - early) > DRIFT * early:
            said.append(f"the median drifted by {late / early - 1:+.0%} while measuring")
    return said


def doubts(machine: dict[str, Any]) -> list[str]:
    """What makes any measurement here doubtful, one sentence each."""
    found = []
    governor, load, cores = machine["governor"], machine["load_average"], machine["cores"]
    if governor not in (None, "performance"):
        found.append(f"the frequency governor is {governor}, not performance")
    if load is not None and load > cores:
        found.append(f"the load average was {load:.1f} on {cores} cores")
    return found


def perform(job: dict[str, Any]) -> dict[str, Any]:
    """Does a job and gives its result; see this file's docstring.

    Raises:
        AgentError: it cannot be done.
    """
    machine = machine_facts()
    if not job.get("model"):
        return {"ok": True, "machine": machine}
    path, threads = str(job["model"]), int(job.get("threads", 1))
    import_runtime(path)
    imported, import_peak = _rss("VmRSS"), _rss("VmHWM")
    _reset_peak()
    start = time.perf_counter_ns()
    model = load(path, threads)
    model.wanted = job.get("answer")
    load_ms, loaded = (time.perf_counter_ns() - start) / 1e6, _rss("VmRSS")
    if job.get("load_only"):
        return {"ok": True, "runtime": model.runtime, "runtime_version": model.version}
    warnings: list[str] = []
    x = _samples(job.get("inputs"))
    feeds = _feeds(model, x, warnings)
    if job.get("profile"):
        operators, note = model.profile(feeds[0], job.get("profiler"))
        return {"ok": True, "profile": operators, "profile_note": note}
    found = measure(model, feeds, job)
    times, peak = found["times"], found["peak"]
    disturbed = disturbances(found)
    result = {
        "ok": True,
        "runtime": model.runtime,
        "runtime_version": model.version,
        "threads": threads,
        "exact_products": model.exact_products,
        "load_ms": load_ms,
        "first_us": found["first_us"],
        "latency_us": distribution(times),
        "quantiles_us": [round(float(q), 3) for q in np.percentile(times / 1e3, PER_MILLE)],
        **{name: found[name] for name in ("warmup", "energy_uj", "waited", "before", "after")},
        "ends_us": [float(times[0]) / 1e3, float(times[-1]) / 1e3],
        "rss_load_bytes": max(0, loaded - imported),
        "peak_rss_bytes": max(peak, import_peak),
        "rss_growth_bytes": max(0, peak - imported),
        "machine": machine,
        "disturbed": disturbed,
        "warnings": warnings + doubts(machine) + disturbed,
    }
    if job.get("stream"):
        result["stream"] = stream(model, [model.place(arrays) for arrays in feeds], job["stream"])
    if os.environ.get(COUNTER):
        placed = [model.place(arrays) for arrays in feeds]
        result["instructions"] = instructions(model, placed, os.environ[COUNTER])
    if job.get("offline"):
        result["offline"] = offline(model, feeds, job["offline"])
    if job.get("turns"):
        result["blocks_us"] = _turns(model, feeds, job["turns"])
    if job.get("samples"):
        np.save(job["samples"], times, allow_pickle=False)
    if x is not None:
        result.update(_answers(model, x, job))
    return result


def _feeds(model: ModelFile, x: Samples, warnings: list[str]) -> list[list[np.ndarray]]:
    """The first samples as the file takes them, or made-up ones: of each an array an input."""
    if x is None:
        return random_inputs(model, warnings)
    few = model.prepare(part(x, slice(ROTATE)))
    return [[value[i : i + 1] for value in few] for i in range(len(few[0]))]


def _turns(
    model: ModelFile, feeds: list[list[np.ndarray]], wanted: dict[str, Any]
) -> list[list[float]]:
    models, given = [model], [feeds]
    for other in wanted["others"]:
        models.append(load(str(other["model"])))
        given.append(_feeds(models[-1], _samples(other.get("inputs")), []))
    return take_turns(models, given, float(wanted["seconds"]))


def _answers(model: ModelFile, x: Samples, job: dict[str, Any]) -> dict[str, Any]:
    y = _array(job.get("labels"))
    if y is None and not job.get("predictions") and not job.get("outputs"):
        return {}
    chunks = (slice(i, i + BATCH) for i in range(0, count(x), BATCH))  # never all in memory
    raw = [model.run_raw(part(x, chunk)) for chunk in chunks]
    if job.get("outputs"):
        np.save(job["outputs"], np.concatenate([model.real(values) for values in raw]))
    predictions = np.concatenate([values.argmax(-1) for values in raw])
    if job.get("predictions"):
        np.save(job["predictions"], predictions, allow_pickle=False)
    if y is None:
        return {}
    if len(y) != len(predictions):
        raise AgentError(
            f"There are {len(y)} labels for {len(predictions)} samples.", str(job["labels"])
        )
    return {"correct": int((predictions == y).sum()), "n": len(y)}


def _samples(paths: str | dict[str, str] | None) -> Samples:
    if isinstance(paths, dict):
        return {name: _array(path) for name, path in paths.items()}
    return _array(paths)


def _array(path: str | None) -> np.ndarray | None:
    if path is None:
        return None
    try:
        values = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise AgentError("This array cannot be read.", f"{path}: {error}") from error
    if len(values) == 0:
        raise AgentError("This array is empty.", path)
    return values


def main(arguments: list[str]) -> int:
    """Reads the job, writes the result beside and renames it. Returns the exit code."""
    if len(arguments) != 2:
        print("usage: agent.py JOB.json RESULT.json", file=sys.stderr)
        return 2
    try:
        with open(arguments[0], encoding="utf-8") as file:
            result = perform(json.load(file))
    except AgentError as error:
        result = {"ok": False, "error": error.what, "where": error.where, "fix": error.fix}
    except Exception as error:  # whatever it is, the sender must learn of it
        import traceback

        traceback.print_exc()
        frame = traceback.extract_tb(error.__traceback__)[-1]
        where = f"{frame.name}, line {frame.lineno} of the agent"
        result = {"ok": False, "error": f"{type(error).__name__}: {_short(error)}", "where": where}
    beside = arguments[1] + ".tmp"
    with open(beside, "w", encoding="utf-8") as file:
        json.dump(result, file)
    os.replace(beside, arguments[1])
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
