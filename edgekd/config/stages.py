"""Settings of the stages after the data: from the models to the budget."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
)

from edgekd.config.base import Settings
from edgekd.config.methods import DefaultSettings, Method, needs_features
from edgekd.config.networks import ModelSettings, network_of
from edgekd.config.quantities import Fraction
from edgekd.config.search import ObjectiveSettings, SearchSettings
from edgekd.config.training import FinetuneTrain, QatTrain, TrainSettings


class Require(Settings):
    """What a teacher must reach before anything is distilled from it."""

    accuracy: Fraction = 0.0
    """Least accuracy on the validation set, of classes."""
    score: Fraction | None = None
    """Least headline score of the task on the validation set: accuracy, macro F1 or R²."""


class OnnxInput(Settings):
    """How an .onnx file of your own wants its input: (raw * scale - mean) / std. A file that edgekd
    exported tells it itself, and none of this is then to be given.
    """

    layout: Literal["auto", "NCHW", "NHWC"] = "auto"
    """Where the channels of images are; `auto` tells by the shape of the file's input."""
    scale: PositiveFloat | None = None
    """Raw values are multiplied by this first: 0.003921569 brings 0..255 to 0..1."""
    mean: tuple[float, ...] | None = None
    """Taken off then, one number for all channels or features, or one each."""
    std: tuple[Annotated[float, Field(gt=0)], ...] | None = None
    """And divided by. Without `scale`, `mean` and `std` the file gets the data as edgekd normalises
    it, by the training set's mean and deviation."""
    output: str | None = None
    """The output with the logits or probabilities, where the file has several."""

    @property
    def scaled(self) -> bool:
        """Whether anything about the values is said."""
        return any(value is not None for value in (self.scale, self.mean, self.std))


def _untrained(value: dict[str, Any]) -> dict[str, Any]:
    """The settings of a teacher that is not trained, because its classes are others."""
    default = TrainSettings()
    if value.get("train") not in (None, default, default.model_dump(mode="json")):
        raise ValueError("`features_only` takes the network as it is: take `train` away")
    if value.get("onnx") is not None or value.get("labels") is not None:
        raise ValueError("`features_only` needs a network of torch: give `model` and its weights")
    if value.get("require") not in (None, {}, Require(), Require().model_dump(mode="json")):
        raise ValueError("`features_only` has no answers that `require` could judge")
    return {**value, "train": None}


class TeacherSettings(Settings):
    """The large network whose answers the student learns."""

    model: ModelSettings = ModelSettings(name="resnet20")
    """The network."""
    onnx: Path | None = None
    """An .onnx file instead of `model`, as it is: only its answers are needed."""
    labels: Path | None = None
    """An .npz file of soft labels instead of `model`: made by another framework, an API, a
    colleague, or `edgekd labels --out`. No network is needed then."""
    input: OnnxInput = OnnxInput()
    """How `onnx` wants its input."""
    train: TrainSettings | None = Field(default_factory=TrainSettings)
    """How it is trained; `null` takes `weights` as they are."""
    weights: Path | None = None
    """A .safetensors file or a saved model folder to start from. Tensors whose shapes do not fit,
    such as the classifier of other classes, start fresh and are named."""
    features_only: bool = False
    """The network was trained for other classes: it stays as it is, `weights` or a `pretrained`
    model without the classifier, and only its feature maps teach."""
    checkpoints: PositiveInt = 1
    """So many networks of its one training teach together, their logits averaged: evenly from the
    second half of the epochs, and the one that it ends with."""
    require: Require = Require()
    """The teacher-quality gate."""

    @model_validator(mode="before")
    @classmethod
    def _a_file_is_not_trained(cls, value: Any) -> Any:
        if isinstance(value, dict) and value.get("features_only"):
            return _untrained(value)
        files = ("onnx", "labels")
        given = [f for f in files if isinstance(value, dict) and value.get(f) is not None]
        if not given:
            return value
        others = ("model", "weights", "train", "checkpoints", *(f for f in files if f != given[0]))
        for field in others:
            default = cls.model_fields[field].get_default(call_default_factory=True)
            written = default.model_dump(mode="json") if isinstance(default, Settings) else None
            if value.get(field) is not None and value[field] not in (default, written):
                raise ValueError(f"`{given[0]}` is a whole teacher: take `{field}` away")
        return {**value, "train": None}

    @model_validator(mode="after")
    def _checkpoints_of_a_training(self) -> TeacherSettings:
        if self.checkpoints == 1:
            return self
        if self.train is None:
            raise ValueError("`checkpoints` are of a training: give `train`, or list `teachers`")
        if 2 * self.checkpoints > self.train.epochs:
            raise ValueError(
                f"{self.checkpoints} checkpoints of the second half of {self.train.epochs} epochs "
                "are not apart: take fewer, or more epochs"
            )
        if self.train.ema is not None:
            raise ValueError(
                "`checkpoints` are of the weights as they are trained: leave `train.ema` out"
            )
        return self

    @property
    def label(self) -> str:
        """The network in a few words, for tables."""
        file = self.onnx or self.labels
        several = f", {self.checkpoints} checkpoints" if self.checkpoints > 1 else ""
        return file.name if file is not None else f"{self.model.label}{several}"

    @property
    def is_network(self) -> bool:
        """Whether there is a network of this task, which could be exported and measured."""
        return self.labels is None and not self.features_only and self.checkpoints == 1

    @property
    def shows_features(self) -> bool:
        """Whether there is one network of torch, whose feature maps can be looked at."""
        return self.onnx is None and self.labels is None and self.checkpoints == 1

    @model_validator(mode="after")
    def _trained_or_given(self) -> TeacherSettings:
        if self.onnx is None and self.input != OnnxInput():
            raise ValueError("`input` is about a file: give `onnx`")
        if self.onnx is not None or self.labels is not None:
            return self
        if self.train is None and self.weights is None and not self.model.pretrained:
            least = "features_only: true" if self.features_only else "train: null"
            raise ValueError(f"`{least}` needs `weights`, or a `pretrained` model")
        return self


class SoftLabelsSettings(Settings):
    """The cache of the teacher's answers."""

    top: PositiveInt | None = None
    """Keep the likeliest classes of each answer only, and the sum of the others: for many classes.
    The method is then `kd`, on these and one bucket for all the rest."""
    features: bool = False
    """Keep what methods on feature maps need of the teacher's maps, too, so that it does not run
    beside the student. Costs disk: its size is told first, and refused where there is no room."""


class StudentSettings(Settings):
    """The small network."""

    model: ModelSettings = ModelSettings(name="dscnn")
    """The network."""
    copy_of: Literal["teacher"] | None = None
    """`teacher`: start from the teacher's network and weights instead of `model`. Nothing is
    distilled from scratch then; `prune` makes the copy smaller, and `quantize` int8."""
    search: SearchSettings | None = None
    """Look at several networks instead of `model`: those that keep `objective` are trained."""
    objective: ObjectiveSettings | None = None
    """Limits of `search`, kept before any training."""

    @model_validator(mode="before")
    @classmethod
    def _one_network(cls, value: Any) -> Any:
        if not isinstance(value, dict):
            return value
        default = cls.model_fields["model"].get_default()
        given = value.get("model") not in (None, default, default.model_dump(mode="json"))
        if value.get("copy_of") is not None and (given or value.get("search") is not None):
            raise ValueError("give either `model` or `copy_of`, or `search`")
        if value.get("search") is not None and given:
            raise ValueError("give either `model` or `search`")
        if value.get("objective") is not None and value.get("search") is None:
            raise ValueError("`objective` belongs to `search`; a limit of the result is `budget`")
        return value


class DistillSettings(Settings):
    """Training of the student from the teacher."""

    method: Method = DefaultSettings()
    """The loss; by default what suits the task. Fine-tuning, pruning and quantization keep using
    it."""
    train: TrainSettings = TrainSettings()
    """How the student is trained."""
    assistant: tuple[ModelSettings, ...] | Literal["auto"] = ()
    """A network between teacher and student, such as `resnet20 x 0.5`, or several from large to
    small: each learns from the one before it, and the student from the last (Mirzadeh et al. 2020,
    TAKD). `auto` puts one there if the teacher has ten times the student's parameters."""
    generations: PositiveInt = 1
    """Distill the student so often, each time from scratch and from the one before it (Furlanello
    et al. 2018, born-again networks)."""

    @field_validator("assistant", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if value == "auto":
            return value
        several = value if isinstance(value, list | tuple) else [] if value is None else [value]
        return [network_of(each) if isinstance(each, str) else each for each in several]


class FinetuneSettings(Settings):
    """More epochs of the distilled student."""

    method: Method | None = None
    """The loss; `null` keeps the method of `distill`."""
    train: FinetuneTrain = FinetuneTrain()
    """How it is trained."""


class QuantizeSettings(Settings):
    """Int8: weights symmetric per channel, activations asymmetric per tensor."""

    mode: Literal["qat", "ptq"] = "qat"
    """`qat` trains through fake quantizers, distilling; `ptq` only calibrates, in seconds."""
    method: Method | None = None
    """The loss of `qat`, on logits or labels; `null` keeps the method of `distill`."""
    calibration_samples: PositiveInt = 512
    """Training samples that `ptq` observes, and that `qat` starts its ranges from."""
    ranges: Literal["min_max", "moving_average", "mse", "percentile", "learned"] | None = None
    """What finds the range of an activation; `null` is `moving_average` for `qat`, which may also
    have it `learned` as a step size (LSQ), and `mse`, the least squared error, for `ptq`."""
    weight_bits: Literal[7, 8] = 8
    """7 bits, at some accuracy, cannot saturate ONNX Runtime on x86-64 processors without VNNI."""
    keep_float: tuple[str, ...] | Literal["auto"] = ()
    """Layers that stay float: names of modules, each with all that is in it, or of operators in the
    exported graph; `*` stands for anything. `auto` looks for layers where that pays."""
    allow: PositiveInt = 2
    """Most layers that `keep_float: auto` keeps in float."""
    freeze_batch_norm: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the epochs of `qat` after which batch-norm statistics stand still, as Krishnamoorthi
    2018 (section 3.2.2) advises."""
    freeze_ranges: Annotated[float, Field(ge=0, le=1)] = 0.7
    """Share of the epochs of `qat` after which ranges stand still; learned steps go on."""
    train: QatTrain = QatTrain()
    """How `qat` trains."""

    @model_validator(mode="after")
    def _ranges_of_the_mode(self) -> QuantizeSettings:
        possible = {
            "qat": ("moving_average", "min_max", "learned"),
            "ptq": ("mse", "min_max", "moving_average", "percentile"),
        }[self.mode]
        if self.ranges is not None and self.ranges not in possible:
            raise ValueError(f"ranges of {self.mode} are {', '.join(possible)}, not {self.ranges}")
        return self

    @property
    def named_float(self) -> tuple[str, ...]:
        """The layers that are named; none with `auto`."""
        return () if self.keep_float == "auto" else self.keep_float

    @model_validator(mode="after")
    def _allow_is_of_auto(self) -> QuantizeSettings:
        if self.allow != 2 and self.keep_float != "auto":
            raise ValueError("`allow` belongs to `keep_float: auto`")
        return self

    @field_validator("method")
    @classmethod
    def _looks_at_answers(cls, value: Method | None) -> Method | None:
        if value is not None and needs_features(value):
            raise ValueError(
                "a quantization-aware network is a graph without named layers: take a method on "
                "logits, or labels"
            )
        return value


class MetadataSettings(Settings):
    """What the exported files tell about whose they are, and under which licence."""

    name: str = ""
    """Of the model; the network's name where nothing is given."""
    description: str = ""
    """What it does; its task in words where nothing is given."""
    author: str = ""
    """A person or an organisation."""
    license: str = ""
    """Such as an SPDX identifier, or a text."""


IMPOSSIBLE = {
    ("onnx", "int16x8"): "ONNX Runtime has no kernels for 16-bit integers on processors, and would "
    "compute in float32 between roundings; write `formats: [tflite]`, or take int8 or float16"
}
"""Why a precision (second) cannot be had in a format (first), and what to take instead."""
BY_ONNX2TF = ("float32", "int8")
"""What `route: onnx2tf` can write."""


class ExportSettings(Settings):
    """Files for deployment."""

    formats: tuple[Literal["onnx", "tflite", "ort"], ...] = ("onnx", "tflite")
    """Each is checked against torch on validation samples before the stage is done. `ort` is made
    of the `onnx` file: ONNX Runtime's own form, for reduced builds of it."""
    precisions: tuple[
        Literal["float32", "float16", "int8", "int8-dynamic", "int8-weights", "int16x8"], ...
    ] = ("float32", "int8")
    """`int8` needs `quantize`, and is left out without it. The others are made of the network with
    float weights: `float16`, `int8-dynamic`, `int8-weights`, and `int16x8` for TFLite only."""
    route: Literal["litert", "onnx2tf", "auto"] = "litert"
    """What makes the TFLite files: litert-torch, or `onnx2tf` over ONNX and tensorflow, in an
    environment of its own (2.2 GB, made on first use). `auto` takes onnx2tf where litert-torch
    fails, and says so."""
    preprocess: Literal["app", "baked"] = "app"
    """Who brings raw samples into the network's form: the app, or with `baked` the file itself. It
    then takes pixels (uint8, NHWC) or raw numbers, and gives probabilities."""
    metadata: MetadataSettings | None = None
    """Written into every file; into TFLite files as Android's tooling reads it, with the labels and
    the input's normalisation, by tflite-support in an environment of its own (0.4 GB, made on first
    use). `{}` takes the defaults."""
    golden: NonNegativeInt = 8
    """Validation samples that are written beside the files with the outputs that each gives, for an
    app to check itself by; 0 leaves them out."""
    parity_samples: PositiveInt = 512
    """Validation samples that the parity check compares."""

    @model_validator(mode="after")
    def _something(self) -> ExportSettings:
        if not self.formats or not self.precisions:
            raise ValueError("name at least one format and one precision")
        if "ort" in self.formats and "onnx" not in self.formats:
            raise ValueError("ort is made of the onnx file: name onnx, too")
        for (form, precision), reason in IMPOSSIBLE.items():
            if form in self.formats and precision in self.precisions:
                raise ValueError(f"precisions: there is no {precision} file in {form}: {reason}")
        others = [each for each in self.precisions if each not in BY_ONNX2TF]
        if self.route == "onnx2tf" and others:
            raise ValueError(
                f"precisions: {others[0]} is made of litert-torch's file, and route: onnx2tf has "
                "none: take route: litert or auto"
            )
        if self.preprocess == "baked" and (self.route != "litert" or others):
            raise ValueError("preprocess: baked is for route: litert, in float32 and int8")
        return self


class BenchSettings(Settings):
    """Measurement of the exported files. `bench: quick` is `bench: {quick: true}`."""

    devices: tuple[str, ...] = ("local",)
    """Device profiles: names of shipped ones, or paths of device files from the pipeline file."""
    runtimes: tuple[Literal["onnxruntime", "litert"], ...] = ("onnxruntime", "litert")
    """Runtimes that measure the files of their format."""
    threads: tuple[PositiveInt | Literal["all"], ...] = (1, "all")
    """Thread counts; `all` is the number of processors of the device."""
    quick: bool = False
    """Measure for a tenth of the time: enough to see that all is well, not enough to publish."""
    min_runs: PositiveInt = 200
    """Measuring goes on until both this many runs ..."""
    min_seconds: PositiveFloat = 3.0
    """... and this many seconds are reached, after a warm-up of at most a fifth of that ..."""
    max_seconds: PositiveFloat | None = None
    """... but no longer than this."""
    warmup_runs: PositiveInt = 1
    """The warm-up ends when the times are steady, but not before this many runs."""
    processes: PositiveInt = 1
    """Processes that measure a file, taking turns with those of the other files: each start of a
    program has its own speed. They share the runs and the seconds."""
