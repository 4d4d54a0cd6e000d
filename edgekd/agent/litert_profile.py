"""Time by operator of a .tflite file in LiteRT: the agent loads this file by its path.

LiteRT's Python interpreter has no profiler. The shared library that comes with it has one, which
TFLite's `benchmark_model` uses, too, and which sees the operators inside XNNPACK. Here its C API is
called by ctypes, as the headers in litert/c of https://github.com/google-ai-edge/LiteRT declare it
from version 2.1.6 on. A library that is built otherwise may end the process: run it in one that has
nothing else to do. The standard library and numpy only, on Python 3.9 or newer.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import time
from collections.abc import Callable, Iterator
from ctypes import byref, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from typing import Any

import numpy as np

LIBRARY = "libLiteRt.so"
NEEDED = "LiteRtGetProfileSummary"
"""Came together with the form of the API that is used here."""
CPU, WRITE = 1, 1
"""Of the enumerations LiteRtHwAccelerators and LiteRtTensorBufferLockMode."""
OPERATOR, DELEGATED = 1 << 1, 1 << 3
"""Of LiteRtProfilerEventType: an operator of LiteRT's own, and one inside a delegate."""
OPTIONS = {
    b"runtime_options_string": "enable_profiling = true\n",
    b"xnnpack": "num_threads = {threads}\n",
}
"""What names the options of runtime and delegate, and their TOML."""


class ProfileError(Exception):
    """Why there is no profile."""


class Layout(ctypes.Structure):
    """LiteRtRankedTensorType: element type, rank and strides' flag in one word, sizes, strides."""

    _fields_ = (
        ("kind", c_int),
        ("rank", c_uint32),
        ("sizes", ctypes.c_int32 * 8),
        ("strides", c_uint32 * 8),
    )


class Event(ctypes.Structure):
    """ProfiledEventData."""

    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory", c_size_t * 6),
        ("index", c_uint64),
        ("subgraph", c_uint64),
        ("source", c_int),
    )


class Library:
    """The C API: every call is checked."""

    def __init__(self) -> None:
        package = importlib.util.find_spec("ai_edge_litert")
        folders = list(package.submodule_search_locations or ()) if package else []
        paths = [os.path.join(folder, LIBRARY) for folder in folders]  # noqa: PTH118
        found = [path for path in paths if os.path.isfile(path)]  # noqa: PTH113
        if not found:
            raise ProfileError(f"this LiteRT comes without {LIBRARY}, which has its profiler")
        self._functions = ctypes.CDLL(found[0])
        if not hasattr(self._functions, NEEDED):
            raise ProfileError("this LiteRT is too old for a profile: 2.1.6 has the first")

    def call(self, name: str, *arguments: Any) -> None:
        """Calls a function that gives a status.

        Raises:
            ProfileError: it is not 0.
        """
        status = getattr(self._functions, name)(*arguments)
        if status != 0:
            raise ProfileError(f"LiteRT's profiler does not take this file: {name} gave {status}")

    def handle(self, name: str, *arguments: Any) -> c_void_p:
        """What a function writes to its last argument.

        Raises:
            ProfileError: its status is not 0, or there is nothing.
        """
        found = c_void_p()
        self.call(name, *arguments, byref(found))
        if not found.value:
            raise ProfileError(f"LiteRT's profiler does not take this file: {name} gave nothing")
        return found

    def number(self, name: str, kind: Any, *arguments: Any) -> int:
        """Likewise, of a number."""
        found = kind()
        self.call(name, *arguments, byref(found))
        return int(found.value)


@ctypes.CFUNCTYPE(None, c_void_p)
def _kept(_payload: Any) -> None:
    """The options' texts belong to Python."""


def profile(
    path: str, threads: int, feed: dict[str, np.ndarray], most: int, seconds: float
) -> tuple[int, list[Any]]:
    """How many inferences were run, and the profiler's events: kind, tag, index in the subgraph,
    whole microseconds.

    Args:
        feed: inputs by the tensors' names, as the file takes them.
        most: inferences, if they do not take longer than `seconds`.

    Raises:
        ProfileError: this LiteRT cannot, or not with this file.

    Nothing is given back: the process ends.
    """
    library = Library()
    environment = library.handle("LiteRtCreateEnvironment", 0, None)
    model = library.handle("LiteRtCreateModelFromFile", environment, os.fsencode(path))
    options = library.handle("LiteRtCreateOptions")
    library.call("LiteRtSetOptionsHardwareAccelerators", options, CPU)
    texts = [text.format(threads=threads).encode() for text in OPTIONS.values()]
    for name, text in zip(OPTIONS, texts):  # noqa: B905
        one = library.handle("LiteRtCreateOpaqueOptions", name, text, _kept)
        library.call("LiteRtAddOpaqueOptions", options, one)
    compiled = library.handle("LiteRtCreateCompiledModel", environment, model, options)
    profiler = library.handle("LiteRtCompiledModelGetProfiler", compiled)
    taken, given = (
        list(_buffers(library, environment, model, compiled, end)) for end in ("Input", "Output")
    )
    for name, buffer in taken:
        if name in feed:
            _write(library, buffer, feed[name])
    ends: list[Any] = []
    for buffers in (taken, given):
        pointers = (c_void_p * len(buffers))(*(buffer for _name, buffer in buffers))
        ends += [c_size_t(len(buffers)), pointers]
    library.call("LiteRtStartProfiler", profiler)
    runs, end = 0, time.perf_counter() + seconds
    while runs < 2 or (runs < most and time.perf_counter() < end):
        library.call("LiteRtRunCompiledModel", compiled, c_size_t(0), *ends)
        runs += 1
    library.call("LiteRtStopProfiler", profiler)
    count = library.number("LiteRtGetNumProfilerEvents", c_int, profiler)
    found = (Event * max(1, count))()
    library.call("LiteRtGetProfilerEvents", profiler, c_int(len(found)), found)
    return runs, [
        (event.kind, (event.tag or b"").decode("utf-8", "replace"), event.index, event.elapsed_us)
        for event in found[:count]
    ]


def _buffers(
    library: Library, environment: Any, model: Any, compiled: Any, end: str
) -> Iterator[tuple[str, Any]]:
    """Tensors' names and buffers for the inputs or outputs of the first signature."""
    signature = library.handle("LiteRtGetModelSignature", model, c_size_t(0))
    count = library.number(f"LiteRtGetNumSignature{end}s", c_size_t, signature)
    for place in map(c_size_t, range(count)):
        tensor = library.handle(f"LiteRtGetSignature{end}TensorByIndex", signature, place)
        name = c_char_p()
        library.call("LiteRtGetTensorName", tensor, byref(name))
        layout = Layout()
        library.call("LiteRtGetRankedTensorType", tensor, byref(layout))
        needs = library.handle(
            f"LiteRtGetCompiledModel{end}BufferRequirements", compiled, c_size_t(0), place
        )
        buffer = library.handle(
            "LiteRtCreateManagedTensorBufferFromRequirements", environment, byref(layout), needs
        )
        yield (name.value or b"").decode("utf-8", "replace"), buffer


def _write(library: Library, buffer: Any, values: np.ndarray) -> None:
    room = library.number("LiteRtGetTensorBufferSize", c_size_t, buffer)
    content = np.ascontiguousarray(values).tobytes()
    if len(content) > room:
        raise ProfileError(f"LiteRT's profiler has {room} bytes for an input of {len(content)}")
    place = c_void_p()
    library.call("LiteRtLockTensorBuffer", buffer, byref(place), c_int(WRITE))
    ctypes.memmove(place, content, len(content))
    library.call("LiteRtUnlockTensorBuffer", buffer)


def operators(
    events: list[Any], cold: int, usual: Callable[[list[float]], float]
) -> list[dict[str, Any]]:
    """Operators in the order of their first call: name, op, microseconds and calls.

    Args:
        events: as `profile` gives them; a delegate that tells of its operators is none itself.
        cold: so many calls of each are left out.
        usual: what their times come to.
    """
    times: dict[tuple[str, int], list[float]] = {}
    for kind, tag, index, elapsed in events:
        if kind in (OPERATOR, DELEGATED):
            times.setdefault((tag, index), []).append(elapsed)
    return [
        {
            "name": f"{tag.partition(' (')[0]} {index}",
            "op": tag,
            "us": usual(all_[cold:] or all_),
            "calls": len(all_),
        }
        for (tag, index), all_ in times.items()
    ]
