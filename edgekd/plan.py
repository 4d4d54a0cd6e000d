"""The graph of a pipeline: which stage runs on whose artefacts. Nobody else knows the order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.config.base import Settings
from edgekd.config.data import Augment
from edgekd.config.method_base import FromFeatures
from edgekd.config.methods import (
    KDSettings,
    LabelsSettings,
    Method,
    after_training,
    is_auto,
    needs_features,
    needs_logits,
    parts_of,
    temperature_of,
    usual,
    without_features,
)
from edgekd.config.networks import ModelSettings
from edgekd.config.pipeline import Pipeline
from edgekd.config.pruning import PruneSettings
from edgekd.config.search import ObjectiveSettings
from edgekd.config.stages import TeacherSettings
from edgekd.keys import code_key
from edgekd.nodes import ORDER, Node
from edgekd.outside import of_training, weights_fingerprint
from edgekd.stages.bench import BenchStage
from edgekd.stages.check import CheckStage
from edgekd.stages.compare import CompareStage
from edgekd.stages.data import DataStage
from edgekd.stages.distill import DistillStage
from edgekd.stages.ensemble import EnsembleStage
from edgekd.stages.export import ExportStage
from edgekd.stages.features import FeaturesStage
from edgekd.stages.finetune import FinetuneStage
from edgekd.stages.prune import MEASURES, PruneStage
from edgekd.stages.quality import QualityStage
from edgekd.stages.quantize import QuantizeStage
from edgekd.stages.search import SearchStage
from edgekd.stages.softlabels import SoftLabelsStage
from edgekd.stages.teacher import TeacherStage
from edgekd.stages.tune import TuneStage

__all__ = ["ORDER", "Node", "make_plan"]

AGAIN = 1000
"""From the seed of a teacher to that of another one which is written the same."""
CONTROL = "control-"
"""Before the stages of the control arm: the same work without the teacher."""


def make_plan(pipeline: Pipeline, base: Path) -> list[Node]:
    """The nodes of a pipeline in an order in which they can run.

    Args:
        base: the folder that relative paths of the pipeline file start from.

    Raises:
        EdgekdError: a file that the pipeline names cannot be read.
    """
    from edgekd.data.sources import source_fingerprint, source_module

    source = {
        "fingerprint": source_fingerprint(pipeline.data, base),
        "reader": code_key(source_module(pipeline.data)),
    }
    data = Node("data", "data", 0, DataStage(data=pipeline.data), {}, source)
    nodes = [data]
    if pipeline.student.search is not None:
        nodes.append(_search(pipeline, base, data))
    tuned: Node | None = None  # once, for all seeds
    for seed in pipeline.run_seeds:
        branch = _Branch(pipeline, base, seed, data, tuned)
        nodes += branch.nodes()
        tuned = branch.tuned
    return nodes


def _search(pipeline: Pipeline, base: Path, data: Node) -> Node:
    """The measurement of candidates, which ends the plan: each that fits has a plan of its own."""
    from edgekd.config.load import load_device
    from edgekd.devices.machine import describe_machine

    assert pipeline.student.search is not None
    objective = pipeline.student.objective or ObjectiveSettings()
    devices = {limit.device for limit in objective.latency} or {"local"}
    settings = SearchStage(
        search=pipeline.student.search,
        objective=objective,
        devices={name: load_device(name, base).model_dump(mode="json") for name in sorted(devices)},
        machine=describe_machine().model_dump(mode="json"),
    )
    return Node("search", "search", 0, settings, {"data": data}, {})


class _Branch:
    """Everything after the data, for one seed."""

    def __init__(
        self, pipeline: Pipeline, base: Path, seed: int, data: Node, tuned: Node | None = None
    ) -> None:
        self.pipeline, self.base, self.seed, self.data = pipeline, base, seed, data
        self.made: list[Node] = []
        self.soft: Node | None = None
        self.tuned = tuned

    def add(
        self,
        stage: str,
        settings: Settings,
        inputs: dict[str, Node],
        *,
        again: int = 0,
        **outside: Any,
    ) -> Node:
        """A node; `again` is how often the same was asked for before, with other randomness."""
        name = f"{stage}@{self.seed}" if self.pipeline.seeds else stage
        seed = self.seed + again * AGAIN
        node = Node(stage, name, seed, settings, {"data": self.data, **inputs}, outside)
        self.made.append(node)
        return node

    def nodes(self) -> list[Node]:
        p = self.pipeline
        teacher = self.teachers() if p.teachers else self.teacher(p.teacher)
        if self.soft_labels_wanted():
            self.soft = self.soft_labels(teacher)
            self.check(teacher, self.soft, "ensemble" if p.teachers else "teacher")
        if p.student.search is not None:
            return self.made
        student = self.arm(self.chain(teacher), p.distill.method)
        if p.control:
            self.arm(teacher, LabelsSettings(), CONTROL)
        self.compare(teacher)
        self.deploy(teacher, student)
        return self.made

    def chain(self, teacher: Node) -> Node:
        """Networks between teacher and student, each of which learns from the one before it; gives
        the last one, whose answers the student then learns.
        """
        p = self.pipeline
        method, train = usual(p.distill.method), p.distill.train
        for number, model in enumerate(p.between, start=1):
            settings = DistillStage(
                model=model,
                method=method,
                train=train,
                augment=p.data.augment,
                generation=number,
            )
            inputs = {"teacher": teacher, **self.learns_from(teacher, method)}
            outside = self.trained(model, train.precision, method)
            teacher = self.add(f"assistant-{number}", settings, inputs, **outside)
            self.soft = self.soft_labels(teacher, f"-a{number}")
            self.check(teacher, self.soft, f"assistant-{number}", f"-a{number}")
        return teacher

    def own_start(self) -> int:
        """Which first weights the student has: a network that is built as a teacher, too, would
        else start where that one started (self-distillation). The same for both arms.
        """
        p = self.pipeline
        trained = [t for t in p.all_teachers if t.onnx is None and t.labels is None]
        return len(p.between) + 1 if p.student.model in [t.model for t in trained] else 0

    def arm(self, teacher: Node, method: Method, prefix: str = "") -> Node:
        """The student from its first training to its last form; with `CONTROL` before the stages'
        names, all of it by `method`.
        """
        p, augment = self.pipeline, self.pipeline.data.augment
        student = teacher
        if not p.student.copy_of:
            settings = DistillStage(
                model=p.student.model,
                method=method,
                train=p.distill.train,
                augment=augment,
                generation=self.own_start(),
            )
            before = {} if prefix else {"teacher": teacher}
            outside = self.trained(p.student.model, p.distill.train.precision, method)
            if is_auto(method) and self.tuned is None:
                tune = TuneStage(
                    model=p.student.model, method=method, train=p.distill.train, augment=augment
                )
                learns_from = self.learns_from(teacher, method)
                self.tuned = self.add("tune", tune, {"teacher": teacher, **learns_from}, **outside)
            inputs = {**before, **self.learns_from(teacher, method)}
            student = self.add(f"{prefix}distill", settings, inputs, **outside)
        method = after_training(method)
        if p.finetune is not None:
            chosen = method if prefix else p.finetune.method or method
            finetune = FinetuneStage(method=chosen, train=p.finetune.train, augment=augment)
            student = self.refine(f"{prefix}finetune", finetune, student, teacher, chosen)
        if p.prune is not None:
            file, more = self.pruned(p.prune)
            prune = PruneStage(prune=p.prune, method=method, augment=augment, **file)
            student = self.refine(f"{prefix}prune", prune, student, teacher, method, **more)
        if p.quantize is not None:
            own = method if prefix else p.quantize.method or method
            kept = p.quantize.model_copy(update={"method": None})
            quantize = QuantizeStage(quantize=kept, method=own, augment=augment)
            through = without_features(own)
            student = self.refine(f"{prefix}quantize", quantize, student, teacher, through)
        return student

    def pruned(self, prune: PruneSettings) -> tuple[dict[str, Any], dict[str, Any]]:
        """The file that a measured target is about, and what else its size or time hangs on."""
        if not prune.measured:
            return {}, {}
        p, outside = self.pipeline, {"measures": code_key(MEASURES)}
        if prune.target == "latency":
            from edgekd.devices.machine import describe_machine

            outside["machine"] = describe_machine().model_dump(mode="json")
        file = {"format": p.deployed_format, "precision": p.deployed_precision}
        return file | {"keep_float": p.quantize.named_float if p.quantize else ()}, outside

    def compare(self, teacher: Node) -> None:
        """Every form of the student against the teacher, and against the control arm."""
        forms = ("distill", "finetune", "prune", "quantize")
        wanted = {prefix + stage for prefix in ("", CONTROL) for stage in forms}
        made = {node.stage: node for node in self.made if node.stage in wanted}
        soft = {node.stage: node for node in self.made if node.stage == "softlabels"}
        self.add("compare", CompareStage(), {"teacher": teacher, **soft, **made})

    def teachers(self) -> Node:
        """Several teachers, each judged and asked, and their mixture in the place of one."""
        p = self.pipeline
        inputs: dict[str, Node] = {}
        for number, settings in enumerate(p.teachers, start=1):
            again = p.teachers[: number - 1].count(settings)
            teacher = self.teacher(settings, f"-{number}", again)
            soft = self.soft_labels(teacher, f"-{number}")
            self.check(teacher, soft, f"teacher-{number}", f"-{number}")
            inputs |= {f"teacher-{number}": teacher, f"softlabels-{number}": soft}
        mixture = EnsembleStage(
            weights=p.teacher_weights,
            temperature=self.check_settings("").temperature,
            augment=p.data.augment,
        )
        return self.add("teacher", mixture, inputs)

    def teacher(self, t: TeacherSettings, number: str = "", again: int = 0) -> Node:
        settings = TeacherStage(
            model=t.model if t.onnx is None and t.labels is None else None,
            onnx=str(t.onnx) if t.onnx else None,
            input=t.input if t.onnx else None,
            labels=str(t.labels) if t.labels else None,
            train=t.train,
            weights=str(t.weights) if t.weights else None,
            features_only=t.features_only,
            checkpoints=t.checkpoints,
            augment=self.pipeline.data.augment if t.train or t.labels else Augment(),
        )
        if t.onnx is not None or t.labels is not None:
            file, field = (t.onnx, "onnx") if t.onnx is not None else (t.labels, "labels")
            assert file is not None
            content = weights_fingerprint(self.base / file, f"teacher.{field}")
            return self.add(f"teacher{number}", settings, {}, file=content)
        outside = self.trained(t.model, t.train.precision if t.train else "float32")
        if t.weights is not None:
            outside["weights"] = weights_fingerprint(self.base / t.weights, "teacher.weights")
        return self.add(f"teacher{number}", settings, {}, again=again, **outside)

    def soft_labels_wanted(self) -> bool:
        return any(needs_logits(method) for method in self.pipeline.methods.values())

    def learns_from(self, teacher: Node, method: Method) -> dict[str, Node]:
        """What a training with the method needs of the teacher: its answers, itself, or both."""
        found: dict[str, Node] = {}
        if needs_logits(method) and self.soft is not None:
            found["softlabels"] = self.soft
        if needs_features(method):
            found["teacher"] = teacher
            if self.pipeline.softlabels.features:
                found["features"] = self.features(teacher, method)
        if is_auto(method) and self.tuned is not None:
            found["tune"] = self.tuned
        return found

    def features(self, teacher: Node, method: Method) -> Node:
        """The cache of what the methods need of the teacher's maps, once for all that need it."""
        p = self.pipeline
        on_maps = [part for part in parts_of(method) if isinstance(part, FromFeatures)]
        settings = FeaturesStage(
            model=p.student_model,
            methods=tuple(part.needed for part in on_maps),  # type: ignore[arg-type]
            augment=p.data.augment,
        )
        made = [node for node in self.made if node.kind == "features"]
        for node in made:
            if node.settings == settings:
                return node
        number = f"-{len(made) + 1}" if made else ""
        outside = self.trained(p.student_model, "float32", method)
        return self.add(f"features{number}", settings, {"teacher": teacher}, **outside)

    def soft_labels(self, teacher: Node, number: str = "") -> Node:
        top = self.pipeline.softlabels.top
        settings = SoftLabelsStage(
            augment=self.pipeline.data.augment,
            top=top,
            temperature=self.check_settings("").temperature if top is not None else None,
        )
        return self.add(f"softlabels{number}", settings, {"teacher": teacher})

    def check(self, teacher: Node, soft: Node, of: str, number: str = "") -> None:
        inputs = {"teacher": teacher, "softlabels": soft}
        self.add(f"check{number}", self.check_settings(of), inputs)

    def check_settings(self, of: str) -> CheckStage:
        """The check, at the temperature of the method that learns from the teacher."""
        named = self.pipeline.methods.values()
        methods = [m for ms in named for m in parts_of(ms) if needs_logits(m)]
        method = methods[0] if methods else KDSettings()
        return CheckStage(
            of=of,
            temperature=temperature_of(method),
            standardize=getattr(method, "standardize", False),
        )

    def refine(
        self,
        stage: str,
        settings: Settings,
        student: Node,
        teacher: Node,
        method: Method,
        **outside: Any,
    ) -> Node:
        """A stage that takes the student and gives it back changed."""
        outside |= self.trained(self.pipeline.student_model, "auto", method)
        learns_from = self.learns_from(teacher, method)
        return self.add(stage, settings, {"student": student, **learns_from}, **outside)

    def deploy(self, teacher: Node, student: Node) -> None:
        p = self.pipeline
        after_training = p.quantize is not None and p.quantize.mode == "ptq"
        student_files = ExportStage(
            role="student",
            quantized=p.quantize is not None,
            calibration=p.quantize.calibration_samples if p.quantize and after_training else None,
            export=p.export,
        )
        exports = self.teacher_files(teacher) | {
            "student": self.add("export", student_files, {"student": student}, **self.routed())
        }
        if p.quality is not None:
            quality = QualityStage(
                quality=p.quality, format=p.deployed_format, quantized=p.quantize is not None
            )
            networks = {"student-network": student}
            networks |= {"teacher-network": teacher} if p.has_teacher_network else {}
            self.add("quality", quality, exports | networks)
        from edgekd.config.load import load_device
        from edgekd.devices.machine import describe_machine
        from edgekd.devices.opsets import EXPORTED, check_opset

        profiles = {name: load_device(name, self.base) for name in p.bench.devices}
        measured = "onnx" in p.export.formats and "onnxruntime" in p.bench.runtimes
        for device in profiles.values():
            if measured and "onnxruntime" in device.runtimes:
                check_opset(EXPORTED, device, "export.formats: onnx")
        devices = {name: device.model_dump(mode="json") for name, device in profiles.items()}
        settings = BenchStage(
            bench=p.bench, devices=devices, machine=describe_machine().model_dump(mode="json")
        )
        self.add("bench", settings, exports)

    def teacher_files(self, teacher: Node) -> dict[str, Node]:
        """What is measured beside the student: nothing of a teacher without a network."""
        if not self.pipeline.has_teacher_network:
            return {}
        if self.pipeline.teacher.onnx is not None:
            return {"teacher": teacher}  # already a file
        only = {"precisions": ("float32",), "metadata": None, "golden": 0}
        both = self.pipeline.export.model_copy(update=only)
        settings = ExportStage(role="teacher", quantized=False, export=both)
        added = self.add("export-teacher", settings, {"teacher": teacher}, **self.routed())
        return {"teacher": added}

    def routed(self) -> dict[str, Any]:
        """What an export by tools of other environments depends on beside its settings."""
        export = self.pipeline.export
        wanted = {
            "onnx2tf": export.route != "litert",
            "tflite-support": export.metadata is not None,
        }
        if "tflite" not in export.formats or not any(wanted.values()):
            return {}
        from edgekd.environments import environment_key, scripts_key

        found = {name: environment_key(name) for name, needed in wanted.items() if needed}
        return {**found, "scripts": scripts_key()}

    def trained(
        self, model: ModelSettings, precision: str, method: Method | None = None
    ) -> dict[str, Any]:
        """What a training depends on beside its settings."""
        return of_training(model, precision, self.base, method)
