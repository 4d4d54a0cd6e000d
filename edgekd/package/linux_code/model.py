"""A bundle's model, loaded: from what an app has to an answer."""

from __future__ import annotations

import base64
import hashlib
import math
import threading
from pathlib import Path
from typing import Any, NamedTuple, Union

import numpy as np

from .arithmetic import lay_out, log_mel, made_up, normalise, picture, real
from .bundle import GOLDEN, SPEC, BundleError, read_bundle, read_json
from .inputs import raw_of
from .runtimes import load

Number = Union[float, dict[str, float]]  # noqa: UP007  (a value: Python 3.9 has no `|` of types)
"""A regression's answer: a number, or of several targets a number by name."""


class Category(NamedTuple):
    """One possible answer."""

    label: str
    score: float
    """Its probability as the model sees it, 0 to 1; of several labels, each by itself."""


class Model:
    """A model, ready to answer. Several threads may share it: they take turns.

    Args:
        folder: with `manifest.json` and the files that it names.
        threads: that the runtime computes with.

    Raises:
        BundleError: the bundle is damaged, or its runtime is not installed.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        files = read_bundle(folder)
        self.spec: dict[str, Any] = read_json(files, SPEC, folder)
        self._golden = read_json(files, GOLDEN, folder)
        self.labels: tuple[str, ...] = tuple(self.spec["labels"])
        self._lock = threading.Lock()
        self._run = load(self.spec, files[self.spec["model"]], threads)

    def categories(self, given: Any) -> list[Category]:
        """All labels with their scores, the best first."""
        logits = self._logits(raw_of(given, self.spec["inputs"])).astype(np.float64)
        several = self.spec["task"] == "multilabel"
        scores = _sigmoid(logits) if several else _softmax(logits)
        order = np.argsort(-scores, kind="stable")
        return [Category(self.labels[place], float(scores[place])) for place in order]

    def numbers(self, given: Any) -> Number:
        """A regression's answer in the targets' own units."""
        answers = self._logits(raw_of(given, self.spec["inputs"])).astype(np.float64)
        values = answers * np.array(self.spec["target_std"]) + np.array(self.spec["target_mean"])
        if len(values) == 1:
            return float(values[0])
        return dict(zip(self.labels, map(float, values)))  # noqa: B905

    def prepare(self, raw: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The model's input tensors for raw samples (*shape), channels first, by name."""
        return {
            part["name"]: lay_out(normalise(raw[part["name"]], part), part)
            for part in self.spec["inputs"]
        }

    def self_check(self) -> int:
        """Asks about the golden samples, and returns how many there are.

        Raises:
            BundleError: an input or an answer is not what it was when the model was exported.
        """
        samples, tolerance = self._golden["samples"], self._golden["tolerance"]
        for number, sample in enumerate(samples):
            tensors = self.prepare(self._golden_raw(sample))
            for name, wanted in sample["inputs"].items():
                if hashlib.sha256(tensors[name].tobytes()).hexdigest() != wanted:
                    raise BundleError(f"Golden sample {number}: the input {name} is another.")
            got = self._output(tensors).astype(np.float64)
            farthest = float(np.abs(got - np.array(sample["output"], np.float64)).max())
            if not farthest <= tolerance:
                raise BundleError(
                    f"Golden sample {number}: an output differs by {farthest:.4g}, and "
                    f"{tolerance:.4g} is allowed."
                )
        return len(samples)

    def _golden_raw(self, sample: dict[str, Any]) -> dict[str, np.ndarray]:
        if "row" in sample:
            return raw_of(sample["row"], self.spec["inputs"])
        if "raw" in sample:
            return {
                name: np.frombuffer(
                    base64.b64decode(told["base64"]), np.dtype(told["dtype"]).newbyteorder("<")
                ).reshape(told["shape"])
                for name, told in sample["raw"].items()
            }
        (told,) = self.spec["inputs"]
        given = made_up(told, sample["made_up"])
        if told["sound"] is not None:
            given = log_mel(given, told)
        elif told["kind"] == "image" and told["peak"] is not None:
            given = picture(given, told)
        return {told["name"]: given}

    def _output(self, tensors: dict[str, np.ndarray]) -> np.ndarray:
        with self._lock:
            return self._run(tensors)[0]

    def _logits(self, raw: dict[str, np.ndarray]) -> np.ndarray:
        return real(self._output(self.prepare(raw)), self.spec["output"])


def _softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return np.array([0.5 * (1 + math.tanh(value / 2)) for value in logits])
