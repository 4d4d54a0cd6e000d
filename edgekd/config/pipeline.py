"""The pipeline file as one model, with the short forms that it accepts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt, field_validator, model_validator

from edgekd.config.base import Settings
from edgekd.config.budget import BudgetSettings
from edgekd.config.data import DataSettings, DigitsData
from edgekd.config.methods import (
    NEED_LABELS,
    KDSettings,
    LabelsSettings,
    Method,
    is_auto,
    is_mutual,
    needs_features,
    needs_logits,
    parts_of,
    weighed_by_gap,
)
from edgekd.config.package import PackageSettings
from edgekd.config.pruning import PruneSettings
from edgekd.config.quality import QualitySettings
from edgekd.config.schedules import start_of
from edgekd.config.stages import (
    BenchSettings,
    DistillSettings,
    ExportSettings,
    FinetuneSettings,
    ModelSettings,
    QuantizeSettings,
    SoftLabelsSettings,
    StudentSettings,
    TeacherSettings,
)

RUNTIME_OF = {"onnx": "onnxruntime", "ort": "onnxruntime", "tflite": "litert"}
"""What runs a file of this format."""

SHORT_FORMS: dict[str, str] = {
    "teacher": "model",
    "teacher.model": "name",
    "student": "model",
    "student.model": "name",
    "distill": "method",
    "distill.method": "name",
    "finetune": "method",
    "finetune.method": "name",
    "quantize": "mode",
    "quantize.method": "name",
}
"""A text in place of these mappings stands for this field: `teacher: resnet20`."""


DEFAULT = {"name": "default"}
"""The method that nobody names; of the top classes it can only be `kd`."""


def expand(raw: Any) -> Any:
    """The pipeline `raw` (as read from YAML) with every short form written out."""
    if not isinstance(raw, dict):
        return raw
    full = dict(raw)
    data = full.get("data")
    if isinstance(data, str | Path):
        is_file = Path(data).suffix == ".npz"
        full["data"] = {"source": "npz", "path": str(data)} if is_file else {"source": data}
    if full.get("bench") == "quick":
        full["bench"] = {"quick": True}
    if isinstance(full.get("teachers"), list | tuple):
        full["teachers"] = [expand({"teacher": each})["teacher"] for each in full["teachers"]]
    for path, field in SHORT_FORMS.items():
        *parents, last = path.split(".")
        node: Any = full
        for parent in parents:
            child = node.get(parent) if isinstance(node, dict) else None
            if isinstance(child, dict):
                node[parent] = child = dict(child)
            node = child
        if isinstance(node, dict) and isinstance(node.get(last), str):
            node[last] = {field: node[last]}
        elif last == "method" and isinstance(node, dict) and isinstance(node.get(last), list):
            node[last] = [{field: m} if isinstance(m, str) else m for m in node[last]]
    labels, distill = full.get("softlabels"), full.get("distill", {})
    of_top = isinstance(labels, dict) and bool(labels.get("top"))
    if of_top and isinstance(distill, dict) and distill.get("method", DEFAULT) == DEFAULT:
        full["distill"] = {**distill, "method": {"name": "kd"}}
    return full


class Pipeline(Settings):
    """From a data set and a budget to a small network."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]
    """Names the run folder: letters, digits, dot, dash and underscore."""
    seed: NonNegativeInt = 0
    """Where all randomness starts: the same seed on the same processor gives the same bits."""
    seeds: PositiveInt | None = None
    """Do everything this many times, with `seed`, `seed` + 1, ...; figures then have intervals."""
    control: bool = False
    """Train the same student a second time without the teacher, and state what the teacher gained
    with its interval. All that trains the student is done twice."""
    data: DataSettings = DigitsData()
    """The data set; `digits`, or the path of an .npz file, for short."""
    teacher: TeacherSettings = TeacherSettings()
    """The large network; the name of a zoo network, for short."""
    teachers: tuple[TeacherSettings, ...] = ()
    """Several large networks instead of `teacher`: the student learns their mixture."""
    teacher_weights: Literal["average", "score", "confidence"] = "average"
    """How `teachers` count: alike; by their validation score; or, sample by sample, by how sure
    they are of the label (Zhang et al. 2022, CA-MKD)."""
    softlabels: SoftLabelsSettings = SoftLabelsSettings()
    """The cache of the teacher's answers."""
    student: StudentSettings = StudentSettings()
    """The small network; the name of a zoo network, for short."""
    distill: DistillSettings = DistillSettings()
    """Training of the student from the teacher."""
    finetune: FinetuneSettings | None = None
    """More training of the distilled student; left out by default."""
    prune: PruneSettings | None = None
    """Structured pruning; left out by default."""
    quantize: QuantizeSettings | None = None
    """Int8 quantization, `qat` or `ptq` for short; left out by default."""
    export: ExportSettings = ExportSettings()
    """Files for deployment."""
    quality: QualitySettings | None = QualitySettings()
    """Calibration, and robustness to shifts, of the deployed files; `false` leaves it out."""
    bench: BenchSettings = BenchSettings()
    """Measurement; `quick` for short."""
    budget: BudgetSettings = BudgetSettings()
    """Limits that the result must keep."""
    package: PackageSettings | None = None
    """Bundles for apps, at the end of a whole run that keeps its budget; `true` for all targets.
    Left out by default."""
    track: Literal["tensorboard", "mlflow"] | None = None
    """Where losses and figures are written as well: event files for TensorBoard in the run folder,
    or the MLflow server of `MLFLOW_TRACKING_URI`. Nowhere by default; it makes nothing again."""

    @model_validator(mode="before")
    @classmethod
    def _expand_short_forms(cls, raw: Any) -> Any:
        return expand(raw)

    @field_validator("finetune", "prune", "quality", "package", mode="before")
    @classmethod
    def _on_and_off(cls, value: Any) -> Any:
        return {True: {}, False: None}.get(value, value) if isinstance(value, bool) else value

    @model_validator(mode="after")
    def _budget_fits_bench(self) -> Pipeline:
        formats = self.export.formats
        if self.budget.format is not None and self.budget.format not in formats:
            raise ValueError(f"budget.format {self.budget.format} is not in export.formats")
        measured = [form for form in formats if RUNTIME_OF[form] in self.bench.runtimes]
        if not measured:
            raise ValueError("bench.runtimes has no runtime of an exported format")
        judged = (self.budget.accuracy, self.budget.accuracy_drop, *self.budget.latency)
        if self.deployed_format not in measured and any(limit is not None for limit in judged):
            raise ValueError(
                f"the budget judges the {self.deployed_format} file: "
                f"add {RUNTIME_OF[self.deployed_format]} to bench.runtimes, or set budget.format"
            )
        for limit in self.budget.latency:
            if limit.device not in self.bench.devices or limit.threads not in self.bench.threads:
                raise ValueError(
                    f"budget.latency on {limit.device} with {limit.threads} threads is not "
                    "measured: add the device and the thread count to bench"
                )
        return self

    @model_validator(mode="after")
    def _route_carries_the_precision(self) -> Pipeline:
        export = self.export
        trained = self.quantize is not None and self.quantize.mode == "qat"
        if export.route != "onnx2tf" or "tflite" not in export.formats or not trained:
            return self
        if "int8" in export.precisions:
            raise ValueError(
                "export.route: onnx2tf drops the quantization that was trained (its Q/DQ pairs), "
                "and would quantize anew: take route: litert for int8, quantize: ptq, or "
                "export.precisions: [float32]"
            )
        return self

    @model_validator(mode="after")
    def _copy_of_a_network(self) -> Pipeline:
        if self.student.copy_of is None:
            return self
        for kind in ("onnx", "labels"):
            if getattr(self.teacher, kind) is not None:
                raise ValueError(
                    f"student.copy_of: a teacher of `{kind}` has no weights to train: give "
                    "student.model"
                )
        if self.teacher.checkpoints > 1:
            raise ValueError("student.copy_of: several checkpoints are no one network to copy")
        if self.prune is None and self.quantize is None:
            raise ValueError("student.copy_of needs `prune`, `quantize`, or both")
        return self

    @model_validator(mode="after")
    def _control_differs(self) -> Pipeline:
        if not self.control:
            return self
        if isinstance(parts_of(self.distill.method)[0], LabelsSettings):
            raise ValueError(
                "control: the student is trained on labels alone, so it is the control itself: "
                "give distill.method a method with the teacher, or leave `control` out"
            )
        trained = (
            self.student.copy_of is None
            or self.prune is not None
            or (self.quantize is not None and self.quantize.mode == "qat")
        )
        if not trained:
            raise ValueError(
                "control: nothing of this student is trained with the teacher: leave it out"
            )
        return self

    @model_validator(mode="after")
    def _top_classes_are_for_kd(self) -> Pipeline:
        if self.softlabels.top is None:
            return self
        parts = [part for method in self.methods.values() for part in parts_of(method)]
        for part in parts:
            plain = isinstance(part, KDSettings) and not part.standardize
            if needs_logits(part) and not plain:
                raise ValueError(
                    f"softlabels.top keeps the top classes, and the method {part.name} needs all "
                    "logits: take kd without standardize, or leave softlabels.top out"
                )
        found = [part.temperature for part in parts if isinstance(part, KDSettings)]
        if len({start_of(t) for t in found}) > 1 or any(not isinstance(t, float) for t in found):
            raise ValueError(
                "softlabels.top keeps the sum of the other classes at one temperature: give all "
                "methods the same, and no schedule"
            )
        return self

    @model_validator(mode="after")
    def _features_are_used(self) -> Pipeline:
        wanted = any(needs_features(method) for method in self.methods.values())
        if self.softlabels.features and not wanted:
            raise ValueError(
                "softlabels.features keeps feature maps, and no method looks at any: take fitnet, "
                "at or another, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _some_are_of_the_first_training(self) -> Pipeline:
        for field, method in self.later_methods.items():
            if is_auto(method):
                raise ValueError(f"{field}: auto is for `distill`")
            if is_mutual(method):
                raise ValueError(f"{field}: mutual is for `distill`, where all start together")
        if is_mutual(self.distill.method) and self.student.copy_of is not None:
            raise ValueError("distill.method: mutual is for a student that is trained from scratch")
        if is_auto(self.distill.method) and self.student.copy_of is not None:
            raise ValueError("distill.method: auto is for a student that is trained from scratch")
        return self

    @model_validator(mode="after")
    def _gap_is_of_the_first_training(self) -> Pipeline:
        for field, method in self.later_methods.items():
            if weighed_by_gap(method):
                raise ValueError(f"{field}: weight by gap is for `distill`")
        if self.teacher.features_only and weighed_by_gap(self.distill.method):
            raise ValueError(
                "distill.method: weight by gap needs the teacher's score, and this one is of other "
                "classes (teacher.features_only): give `weight` a schedule of epochs"
            )
        return self

    @property
    def later_methods(self) -> dict[str, Method]:
        """Those of the stages after `distill` that have their own, by field."""
        stages = {"finetune": self.finetune, "quantize": self.quantize}
        return {
            f"{name}.method": stage.method
            for name, stage in stages.items()
            if stage is not None and stage.method is not None
        }

    @property
    def methods(self) -> dict[str, Method]:
        """Those that the pipeline names, by field."""
        return {"distill.method": self.distill.method, **self.later_methods}

    @property
    def between(self) -> tuple[ModelSettings, ...]:
        """The networks between teacher and student, in the order in which they learn."""
        earlier = (self.student.model,) * (self.distill.generations - 1)
        assistant = () if self.distill.assistant == "auto" else self.distill.assistant
        return (*assistant, *earlier)

    @model_validator(mode="after")
    def _chain_learns_answers(self) -> Pipeline:
        if not self.between and self.distill.assistant != "auto":
            return self
        field = "distill.assistant" if self.distill.assistant else "distill.generations"
        if self.student.copy_of is not None:
            raise ValueError(f"{field}: with student.copy_of, nothing is distilled from scratch")
        if not needs_logits(self.distill.method):
            raise ValueError(f"{field}: a chain hands answers on: take a method on logits, as kd")
        if any(needs_features(method) for method in self.methods.values()):
            raise ValueError(
                f"{field}: layers are named for one pair of networks, and a chain has several: "
                "take methods on logits"
            )
        return self

    @property
    def all_teachers(self) -> tuple[TeacherSettings, ...]:
        """The `teachers`, or the only one."""
        return self.teachers or (self.teacher,)

    @property
    def has_teacher_network(self) -> bool:
        """Whether there is one teacher with a network, which can be exported and compared with."""
        return not self.teachers and self.teacher.is_network

    @model_validator(mode="after")
    def _several_teachers(self) -> Pipeline:
        if not self.teachers:
            if self.teacher_weights != "average":
                raise ValueError("teacher_weights is about several teachers: give `teachers`")
            return self
        if self.teacher != TeacherSettings():
            raise ValueError("give either `teacher` or `teachers`")
        if self.student.copy_of is not None:
            raise ValueError("student.copy_of: several teachers are no network to copy")
        if self.softlabels.top is not None:
            raise ValueError("softlabels.top: several teachers are mixed from all their logits")
        if self.teacher_weights == "confidence" and self.data.augment.mixes:
            raise ValueError(
                "teacher_weights: confidence asks how sure a teacher is of the label, and samples "
                "mixed by mixup or cutmix have two"
            )
        return self

    @model_validator(mode="after")
    def _drop_needs_a_network(self) -> Pipeline:
        if self.budget.accuracy_drop is not None and not self.has_teacher_network:
            raise ValueError(
                "budget.accuracy_drop compares with the teacher's network, and there is none: give "
                "budget.accuracy"
            )
        return self

    @model_validator(mode="after")
    def _pruned_file_can_be_made(self) -> Pipeline:
        measured = self.prune is not None and self.prune.measured
        if measured and self.deployed_precision == "int16x8":
            raise ValueError(
                "prune.target: an int16x8 file needs the trained network's ranges before it can be "
                "measured: take target: macs or parameters"
            )
        found = self.unlike_plain_file
        if measured and found:
            raise ValueError(
                f"prune.target: bytes and latency are measured of a plain file, and {found[0]} "
                "makes another: take target: macs or parameters, or leave that out"
            )
        return self

    @property
    def unlike_plain_file(self) -> list[str]:
        """The settings by which the deployed file is another than one that is written and measured
        before a training."""
        export, quantize = self.export, self.quantize
        other = {
            "quantize.keep_float: auto": quantize is not None and quantize.keep_float == "auto",
            "export.metadata": export.metadata is not None,
            "export.preprocess: baked": export.preprocess == "baked",
            "export.route: onnx2tf": export.route == "onnx2tf",
        }
        return [field for field, given in other.items() if given]

    @model_validator(mode="after")
    def _search_can_be_measured(self) -> Pipeline:
        if self.student.search is None:
            return self
        if self.quantize is None or "int8" not in self.export.precisions:
            raise ValueError("student.search measures int8 files: add `quantize: qat` or `ptq`")
        if "tflite" not in self.export.formats or "litert" not in self.bench.runtimes:
            raise ValueError("student.search measures TFLite files: add tflite and litert")
        if self.prune is not None:
            raise ValueError("student.search looks at widths: leave `prune` out")
        for limit in self.student.objective.latency if self.student.objective else ():
            if limit.device not in self.bench.devices or limit.threads not in self.bench.threads:
                raise ValueError(
                    f"student.objective.latency on {limit.device} with {limit.threads} threads is "
                    "not measured of trained files: add the device and the thread count to bench"
                )
        return self

    @property
    def student_model(self) -> ModelSettings:
        """What builds the student: a copy is built as the teacher."""
        return self.teacher.model if self.student.copy_of else self.student.model

    @model_validator(mode="after")
    def _method_fits_mixing(self) -> Pipeline:
        for field, method in self.methods.items():
            for part in parts_of(method):
                if not self.data.augment.mixes or not isinstance(part, NEED_LABELS):
                    continue
                raise ValueError(
                    f"{field} {part.name} tells the target from the other classes, and "
                    "samples mixed by mixup or cutmix have two: take kd or dist"
                )
        return self

    @model_validator(mode="after")
    def _method_fits_teacher(self) -> Pipeline:
        wants = any(needs_features(method) for method in self.methods.values())
        parts = [part for method in self.methods.values() for part in parts_of(method)]
        asks = [part for part in parts if needs_logits(part)]
        if self.teacher.features_only and (asks or not wants):
            told = asks[0].name if asks else "labels"
            raise ValueError(
                f"teacher.features_only: the method {told} looks at no feature maps, and this "
                "teacher has nothing else: take fitnet, at or another on feature maps"
            )
        if self.teacher.features_only and self.student.copy_of is not None:
            raise ValueError("student.copy_of: this teacher is of other classes")
        if any(teacher.features_only for teacher in self.teachers):
            raise ValueError("teachers: a network of other classes (features_only) teaches alone")
        if wants and (self.teachers or not self.teacher.shows_features):
            raise ValueError(
                "methods on feature maps look into one network of torch, and a file, several "
                "teachers or checkpoints are none: take methods on logits, or give teacher.model"
            )
        return self

    @property
    def run_seeds(self) -> list[int]:
        """The seeds of the repetitions."""
        return [self.seed + i for i in range(self.seeds or 1)]

    @property
    def deployed_precision(self) -> str:
        """Precision of the final file: int8 where the pipeline quantizes and exports it, else
        float32, and where that is not exported, the first that is."""
        wanted = self.export.precisions
        if self.quantize and "int8" in wanted:
            return "int8"
        others = [precision for precision in wanted if precision != "int8"]
        return others[0] if others and "float32" not in others else "float32"

    @property
    def deployed_format(self) -> Literal["tflite", "onnx"]:
        """Format of the final file, which the budget judges."""
        if self.budget.format is not None:
            return self.budget.format
        return "tflite" if "tflite" in self.export.formats else "onnx"
