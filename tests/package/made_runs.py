"""Run folders with a linear model for each kind of input, made without a training: what packaging
reads, written by the same functions as a run's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from edgekd.export.facts import Facts, write_facts
from edgekd.results import Accuracy, Machine, ModelFigures, StageFigures, Summary
from edgekd.runtimes.golden import write_golden
from edgekd.spec import (
    METADATA_NAME,
    DeployedSpec,
    InputSpec,
    ModelSpec,
    NamedInputs,
    Quantization,
    SoundSpec,
)
from edgekd.store import write_json

KEY = "0123456789ab"
SCALE, OUT_SCALE = Quantization(scale=0.03, zero_point=-7), Quantization(scale=0.2, zero_point=3)
SOUND = SoundSpec(rate=8000, samples=4000, window=240, hop=200, mels=16, low_hz=20, high_hz=4000)
DIGITS = InputSpec(kind="image", shape=(1, 8, 8), mean=(4.9,), std=(6.1,), peak=16.0)
PICTURES = InputSpec(
    kind="image", shape=(3, 12, 10), mean=(120.0, 110.0, 100.0), std=(60.0, 61.0, 62.0), peak=255.0
)
SPEECH = InputSpec(
    kind="audio", shape=(1, SOUND.frames, SOUND.mels), mean=(-14.0,), std=(5.0,), sound=SOUND
)
SERIES = InputSpec(kind="series", shape=(2, 32), mean=(0.5, -1.0), std=(1.5, 0.3))
TABLE = NamedInputs(
    inputs=(
        InputSpec(
            name="numbers",
            kind="row",
            shape=(2,),
            mean=(40.1, 52.3),
            std=(11.0, 9.7),
            columns=("age", "income"),
        ),
        InputSpec(
            name="codes",
            kind="codes",
            shape=(1,),
            columns=("town",),
            vocabulary=(("Köln", "Basel", "7"),),
        ),
    )
)
PAIR = NamedInputs(
    inputs=(
        InputSpec(name="grid", kind="image", shape=(2, 3, 4), mean=(0.1, 0.2), std=(1.1, 0.9)),
        InputSpec(name="plain", kind="row", shape=(3,), mean=(1.0, 2.0, 3.0), std=(0.5, 1.0, 2.0)),
    )
)
README = Path(__file__).resolve().parents[2] / "README.md"
MODELS = {
    "digits": ModelSpec(name="linear", input=DIGITS, labels=tuple("0123456789")),
    "photos": ModelSpec(name="linear", input=PICTURES, labels=("cat", "dög")),
    "speech": ModelSpec(name="linear", input=SPEECH, labels=("yes", "no", "none")),
    "shop": ModelSpec(name="linear", input=TABLE, labels=("no", "yes"), task="binary"),
    "wear": ModelSpec(
        name="linear",
        input=SERIES,
        labels=("hours",),
        task="regression",
        target_mean=(300.0,),
        target_std=(120.0,),
    ),
}
"""Of which every language's bundles are made."""
MORE = {
    "fruit": ModelSpec(
        name="linear",
        input=InputSpec(kind="row", shape=(6,), mean=(0.0,) * 6, std=(1.0,) * 6),
        labels=("red", "round", "ripe"),
        task="multilabel",
    ),
    "pair": ModelSpec(
        name="linear",
        input=PAIR,
        labels=("x", "y"),
        task="regression",
        target_mean=(1.0, 2.0),
        target_std=(0.5, 3.0),
    ),
}


def raw_samples(name: str, count: int = 4) -> Any:
    """Raw samples as the data stage keeps them."""
    rng = np.random.default_rng(1)
    if name in ("digits", "photos"):
        spec = MODELS[name].input.inputs[0]
        pixels = rng.integers(0, int(spec.peak or 0) + 1, (count, *spec.shape))
        return pixels.astype(np.float32 if name == "digits" else np.uint8)
    if name == "speech":
        return rng.normal(-14, 5, (count, *SPEECH.shape)).astype(np.float32)
    if name in ("wear", "fruit"):
        shape = (MODELS | MORE)[name].input.inputs[0].shape
        return rng.normal(0, 1, (count, *shape)).astype(np.float32)
    if name == "pair":
        parts = {part.name: rng.normal(0, 1, (count, *part.shape)) for part in PAIR.inputs}
        return {part: values.astype(np.float32) for part, values in parts.items()}
    numbers = rng.normal((40, 50), (11, 9), (count, 2)).astype(np.float32)
    return {"numbers": numbers, "codes": rng.integers(0, 4, (count, 1)).astype(np.int32)}


def make_run(folder: Path, name: str, *, precision: str = "int8", golden: bool = True) -> Path:
    """Writes the run folder `folder`/NAME with an ONNX file of a linear model."""
    spec = (MODELS | MORE)[name]
    run, export = folder / name, folder / name / f"export-{KEY}"
    export.mkdir(parents=True)
    path = export / f"student-{precision}.onnx"
    told = _deployed(spec, precision)
    onnx.save(_linear(spec, told), str(path))
    write_facts(path, told, Facts("linear", "Tells what it was told.", "A. Person", "MIT"))
    if golden:
        raw = raw_samples(name)
        write_golden(export, [path], raw, [0] * 4, spec.input)
    summary = _summary(name, spec, path.relative_to(run).as_posix(), path, precision)
    write_json(run / "summary.json", summary.model_dump(mode="json"))
    return run


def _deployed(spec: ModelSpec, precision: str) -> DeployedSpec:
    parts = spec.input.inputs
    scales = [SCALE if precision == "int8" and p.kind != "codes" else None for p in parts]
    several = isinstance(spec.input, NamedInputs)
    return DeployedSpec(
        model=spec,
        format="onnx",
        precision=precision,  # type: ignore[arg-type]
        layout="NCHW" if len(parts[0].shape) == 3 else "NCT" if len(parts[0].shape) == 2 else "NF",
        input_quantization=None if several else scales[0],
        input_quantizations={p.name: s for p, s in zip(parts, scales, strict=True)}
        if several
        else None,
        output_quantization=OUT_SCALE if precision == "int8" else None,
    )


def _linear(spec: ModelSpec, told: DeployedSpec) -> onnx.ModelProto:
    """Inputs, flattened one after the other, by a matrix."""
    nodes, inputs, constants, flat = [], [], [], []

    def scaled(op: str, source: str, target: str, scale: Quantization) -> None:
        constants.append(numpy_helper.from_array(np.float32(scale.scale), f"{target}_s"))
        constants.append(numpy_helper.from_array(np.int8(scale.zero_point), f"{target}_z"))
        nodes.append(helper.make_node(op, [source, f"{target}_s", f"{target}_z"], [target]))

    scales = told.input_quantizations or {spec.input.inputs[0].name: told.input_quantization}
    for part in spec.input.inputs:
        scale, source = scales[part.name], part.name
        kind = TensorProto.INT8 if scale else TensorProto.FLOAT
        kind = TensorProto.INT32 if part.kind == "codes" else kind
        inputs.append(helper.make_tensor_value_info(part.name, kind, ["n", *part.shape]))
        if scale is not None:
            scaled("DequantizeLinear", source, f"{part.name}_real", scale)
            source = f"{part.name}_real"
        elif part.kind == "codes":
            nodes.append(helper.make_node("Cast", [source], [f"{source}_f"], to=TensorProto.FLOAT))
            source = f"{source}_f"
        nodes.append(helper.make_node("Flatten", [source], [f"{part.name}_flat"]))
        flat.append(f"{part.name}_flat")
    size = sum(int(np.prod(part.shape)) for part in spec.input.inputs)
    weights = np.random.default_rng(0).normal(0, 8 / size, (size, len(spec.labels)))
    constants.append(numpy_helper.from_array(weights.astype(np.float32), "weights"))
    nodes.append(helper.make_node("Concat", flat, ["all"], axis=1))
    int8 = told.output_quantization is not None
    nodes.append(helper.make_node("MatMul", ["all", "weights"], ["sums" if int8 else "logits"]))
    if told.output_quantization is not None:
        scaled("QuantizeLinear", "sums", "logits", told.output_quantization)
    kind = TensorProto.INT8 if int8 else TensorProto.FLOAT
    output = helper.make_tensor_value_info("logits", kind, ["n", len(spec.labels)])
    graph = helper.make_graph(nodes, "linear", inputs, [output], constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    helper.set_model_props(model, {METADATA_NAME: told.model_dump_json()})
    return model


def _summary(name: str, spec: ModelSpec, path: str, file: Path, precision: str) -> Summary:
    metric = "r2" if spec.task == "regression" else "accuracy"
    reached = Accuracy(
        value=0.9, low=0.85, high=0.94, n=200, runtime="onnxruntime", split="test", metric=metric
    )
    figures = ModelFigures(
        stage="student",
        seed=0,
        format="onnx",
        precision=precision,
        path=path,
        bytes=file.stat().st_size,
        parameters=64,
        macs=64,
        accuracy=reached,
    )
    stage = StageFigures(name="export", key=KEY, cached=False, seconds=1, folder=f"export-{KEY}")
    machine = Machine(system="Linux", processor="p", cores=1, memory_bytes=1, instructions=[])
    return Summary(
        pipeline=name,
        seed=0,
        seeds=[0],
        date="2026-01-01T00:00:00+00:00",
        settings={"data": {"source": "npz", "path": "somewhere/mine.npz"}},
        versions={"edgekd": "0.1.0"},
        machine=machine,
        stages=[stage],
        models=[figures],
        parity=[],
        bench=[],
        budget=[],
    )


def readme_lines(platform: str) -> list[list[str]]:
    """What the README's table of bundles says that a developer writes: build, and code."""
    rows = README.read_text().partition("## Into the app")[2].partition("\n## ")[0].splitlines()
    first = next(n for n, row in enumerate(rows) if row.startswith(f"| {platform} |"))
    _, build, code = zip(*(row.split("|")[1:-1] for row in rows[first : first + 2]), strict=True)
    return [[cell.strip().strip("`") for cell in cells if cell.strip()] for cells in (build, code)]
