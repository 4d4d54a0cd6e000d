"""What a model takes and gives: the facts that travel with it into every format.

A `ModelSpec` is written into `model.json`, into the ONNX file's metadata and into the TFLite
file's metadata, so that a deployed file alone is enough to preprocess an input and name its answer.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, field_validator, model_validator

Task = Literal["classification", "binary", "multilabel", "regression"]
"""What a model answers.

- classification: one of several classes; targets (N,) int64, one logit a class.
- binary: one of two, the second of which is the positive one; targets and logits likewise.
- multilabel: any of several labels; targets (N, L) float32 of 0 and 1, one logit a label, whose
  sigmoid is the label's probability.
- regression: numbers; targets (N, T) float32 in raw units, of which the network gives the
  standardised values (raw - target_mean) / target_std.
"""
HEADLINE: dict[Task, str] = {
    "classification": "accuracy",
    "binary": "accuracy",
    "multilabel": "macro_f1",
    "regression": "r2",
}
"""The score that a task is judged by: higher is better, and 1 is the best."""


class SoundSpec(BaseModel):
    """How a recording becomes log-mel features (1, frames, mels): see `edgekd.data.sound`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rate: int
    """Hz; recordings of another rate are resampled."""
    samples: int
    """A recording is cut or padded to so many."""
    window: int
    """Samples of a frame."""
    hop: int
    """Samples from the start of a frame to the next."""
    mels: int
    low_hz: float
    high_hz: float

    @property
    def frames(self) -> int:
        """Frames of a recording; those that would end beyond it are left out."""
        return 1 + (self.samples - self.window) // self.hop


class InputSpec(BaseModel):
    """One input of a model.

    `shape` leaves the batch out and is channels first: (C, H, W) for an image, (F,) for a row,
    (1, frames, mels) for audio, whose features are made as `sound` says, (C, T) for a series, (K,)
    for the codes of K categorical columns.
    `mean` and `std` are in the raw data's units, one a channel (image, series) or one a feature
    (row): the network sees (raw - mean) / std; codes are seen as they are, int32. `peak` is the
    largest raw value of an image (255 for 8-bit pictures, 16 for the digits): a picture file is
    scaled to it before it is normalised.

    Of a table, `columns` names the numbers of a row or the codes, in their order, and `vocabulary`
    the categories of each column of codes: the first has code 1, and 0 stands for every value that
    is not among them, or missing.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "input"
    kind: Literal["image", "row", "audio", "series", "codes"]
    shape: tuple[int, ...]
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    peak: float | None = None
    sound: SoundSpec | None = None
    columns: tuple[str, ...] = ()
    vocabulary: tuple[tuple[str, ...], ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> InputSpec:
        if self.kind == "codes":
            if len(self.vocabulary) != self.shape[0]:
                raise ValueError("`vocabulary` has the categories of each column of codes")
        elif not self.mean or not self.std:
            raise ValueError("`mean` and `std` are needed")
        return self

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        """The only input: what `NamedInputs.inputs` is for several."""
        return (self,)

    @property
    def dtype(self) -> Literal["float32", "int32"]:
        """Of what the network sees."""
        return "int32" if self.kind == "codes" else "float32"

    def normalise(self, raw: Any) -> Any:
        """Raw samples (N, *shape) to what the network sees, float32 (codes: int32), same shape."""
        if self.kind == "codes":
            return raw.astype(np.int32)
        channels = (1, -1) + (1,) * (len(self.shape) - 1)
        mean = np.asarray(self.mean, np.float32).reshape(channels)
        std = np.asarray(self.std, np.float32).reshape(channels)
        return (raw.astype(np.float32) - mean) / std


class NamedInputs(BaseModel):
    """Several inputs of a model, in the order in which its network takes them.

    Samples are a dictionary from each input's name to its array (N, *shape); see `edgekd.inputs`.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    inputs: tuple[InputSpec, ...]

    @field_validator("inputs")
    @classmethod
    def _different(cls, value: tuple[InputSpec, ...]) -> tuple[InputSpec, ...]:
        if not value or len({part.name for part in value}) < len(value):
            raise ValueError("inputs need names that differ")
        return value

    @property
    def kind(self) -> Literal["named"]:
        """What tells it from the kinds of a single input."""
        return "named"

    def normalise(self, raw: Any) -> Any:
        """Raw samples by name to what the network sees, in the spec's order."""
        return {part.name: part.normalise(raw[part.name]) for part in self.inputs}


Inputs = InputSpec | NamedInputs
"""What a network takes: one input, or several by name. Both have `inputs` and `normalise`."""


class ModelSpec(BaseModel):
    """Input, output, task and labels of a model.

    `labels` names the classes, the labels or the targets, one an output. `target_mean` and
    `target_std` are those of a regression's training targets, one a target: the raw answer is
    output * target_std + target_mean. They are empty for every other task.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    input: Inputs
    output: str = "logits"
    labels: tuple[str, ...]
    description: str = ""
    task: Task = "classification"
    target_mean: tuple[float, ...] = ()
    target_std: tuple[float, ...] = ()

    def raw_targets(self, outputs: NDArray[Any]) -> NDArray[np.float64]:
        """A regression's outputs (N, T) in the targets' raw units, float64."""
        std, mean = np.asarray(self.target_std), np.asarray(self.target_mean)
        return np.asarray(outputs, np.float64) * std + mean

    def with_raw_answers(self) -> ModelSpec:
        """The same of a file whose answers to a regression are in raw units already."""
        if self.task != "regression":
            return self
        count = len(self.labels)
        plain = {"target_mean": (0.0,) * count, "target_std": (1.0,) * count}
        return self.model_copy(update=plain)


Precision = Literal["float32", "float16", "int8", "int8-dynamic", "int8-weights", "int16x8"]
"""In which numbers an exported file stores and computes; see docs/export.md."""


class Quantization(BaseModel):
    """Affine int8 quantization of one tensor: real = scale * (integer - zero_point)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    scale: float
    zero_point: int


class DeployedSpec(BaseModel):
    """What an exported file tells about itself, as JSON under the name `edgekd`.

    In ONNX it is an entry of `metadata_props`; in TFLite, a `metadata` entry of that name whose
    buffer holds the UTF-8 text.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: ModelSpec
    format: Literal["onnx", "tflite", "ort"]
    precision: Precision
    layout: Literal["NCHW", "NHWC", "NF", "NCT"]
    """Where images have their channels; NF for rows, NCT for series. Of several inputs, what holds
    for those that are images."""
    input_quantization: Quantization | None = None
    input_quantizations: dict[str, Quantization | None] | None = None
    """Of several inputs, in place of `input_quantization`: by name, None for codes and floats."""
    output_quantization: Quantization | None = None
    preprocess: Literal["app", "baked"] = "app"
    """`baked`: the file takes raw numbers (images whose `peak` is known as pixels, uint8, NHWC) and
    gives probabilities, or a regression's targets in raw units."""


METADATA_NAME = "edgekd"
