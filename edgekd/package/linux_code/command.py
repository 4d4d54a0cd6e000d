"""The bundle's console command: answers about files, and the self check."""

from __future__ import annotations

import argparse
import csv
import sys
import wave
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .bundle import BundleError
from .inputs import MISSING, is_table
from .model import Model


def main(make: Callable[[], Model], name: str, version: str) -> int:
    """Reads the command line. Exit codes: 0 done, 1 the bundle or a file cannot be used."""
    parser = argparse.ArgumentParser(prog=name, description="Asks the model about files.")
    parser.add_argument("files", nargs="*", type=Path, help=".npy arrays, .csv rows, .wav sounds")
    parser.add_argument("--check", action="store_true", help="ask about the golden samples")
    parser.add_argument("--top", type=int, default=1, help="answers to print of each sample")
    parser.add_argument("--version", action="version", version=f"{name} {version}")
    given = parser.parse_args()
    try:
        model = make()
        if given.check:
            print(f"{model.self_check()} golden samples as exported")
        for path in given.files:
            for number, sample in enumerate(_samples(path, model.spec)):
                print(f"{path}[{number}]: {_told(model, sample, given.top)}")
    except (BundleError, ValueError, OSError, EOFError, csv.Error) as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 1
    return 0


def _told(model: Model, sample: Any, top: int) -> str:
    if model.spec["task"] == "regression":
        answer = model.numbers(sample)
        if isinstance(answer, dict):
            return ", ".join(f"{target} {value:.6g}" for target, value in answer.items())
        return f"{answer:.6g}"
    return ", ".join(f"{label} {score:.1%}" for label, score in model.categories(sample)[:top])


def _samples(path: Path, spec: dict[str, Any]) -> Iterator[Any]:
    """One or many of a file, in the form that the model's method takes."""
    inputs = spec["inputs"]
    if path.suffix.lower() == ".csv" and is_table(inputs):
        yield from _rows(path, inputs)
    elif path.suffix.lower() == ".wav" and inputs[0]["sound"] is not None:
        yield _wav(path, inputs[0]["sound"]["rate"])
    elif path.suffix.lower() == ".npy" and not is_table(inputs):
        yield np.load(path, allow_pickle=False)
    else:
        raise ValueError(f"{path}: this model takes no such file")


def _rows(path: Path, inputs: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """The rows of a table, whose first line names its columns."""
    numeric = {c for part in inputs if part["kind"] != "codes" for c in part["columns"]}
    with path.open(newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        file.seek(0)
        for row in csv.DictReader(file, delimiter=max(",;\t", key=first.count)):
            cells = {str(name).strip(): text for name, text in row.items()}
            yield {name: _cell(text, name in numeric) for name, text in cells.items()}


def _cell(text: Any, numeric: bool) -> Any:
    if not isinstance(text, str) or text.strip().lower() in MISSING:
        return None
    if not numeric:
        return text
    try:
        return float(text)
    except ValueError:
        return text  # which the model's input refuses, with its column


def _wav(path: Path, rate: int) -> np.ndarray:
    try:
        with wave.open(str(path), "rb") as file:
            told = file.getparams()
            content = file.readframes(told.nframes)
    except (wave.Error, EOFError) as error:
        raise ValueError(f"{path}: {error or 'not a whole WAV file'}") from error
    if told.sampwidth != 2 or told.framerate != rate:
        raise ValueError(
            f"{path}: {8 * told.sampwidth} bits at {told.framerate} Hz, and the model takes 16 "
            f"bits at {rate} Hz: sox IN.wav -b 16 -r {rate} OUT.wav"
        )
    values = np.frombuffer(content, "<i2").astype(np.float32) / np.float32(32768)
    return values.reshape(-1, told.nchannels).mean(1)
