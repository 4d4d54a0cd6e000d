"""Export to TFLite with onnx2tf (Katsuya Hyodo), over ONNX and tensorflow, in an environment of its
own: the second route, for networks that litert-torch cannot express.

It carries float networks, and quantizes them itself after training (tensorflow's converter, weights
per channel, activations per tensor). It does not carry a network that is quantized already: onnx2tf
1.29 drops each pair of QuantizeLinear and DequantizeLinear, and with it the ranges that were
trained.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from edgekd.environments import environment, run
from edgekd.errors import StageError
from edgekd.export import flatbuffer
from edgekd.export.deployed import Precision
from edgekd.export.onnx_file import export_onnx
from edgekd.export.tflite_file import write_tflite
from edgekd.inputs import arguments
from edgekd.progress import SILENT, Progress
from edgekd.spec import DeployedSpec, InputSpec, ModelSpec, NamedInputs
from edgekd.store import write_json

SCRIPT = "convert_with_onnx2tf.py"
MADE = {"float32": "model_float32.tflite", "float16": "model_float16.tflite",
        "int8": "model_full_integer_quant.tflite"}  # fmt: skip
"""What onnx2tf calls its files."""
OUTPUT = "answer"


def export_tflite_by_onnx2tf(
    module: nn.Module,
    spec: ModelSpec,
    path: Path,
    *,
    precision: Precision,
    calibration: Any = None,
    progress: Progress = SILENT,
) -> DeployedSpec:
    """Writes a TFLite file as `edgekd.export.tflite_file.export_tflite` does, by the other route.

    Args:
        module: a network in float32, in evaluation mode, for every precision.
        spec: names of input and output, shape, labels. An image's input is NHWC in the file.
        path: the file to write.
        precision: int8 is onnx2tf's own quantization after training, with `calibration`.
        calibration: for int8, normalised training samples (N, *shape), channels first, or of
            several inputs by name.
        progress: is told when the environment is being made.

    Raises:
        EnvironmentMissing: the environment cannot be made.
        StageError: ONNX or onnx2tf cannot express the network.
    """
    if precision == "int8" and calibration is None:
        raise StageError("onnx2tf quantizes with samples, and none were given.", where=str(path))
    python = environment("onnx2tf", progress)
    with tempfile.TemporaryDirectory(prefix="edgekd-onnx2tf-") as name:
        folder = Path(name)
        given = _plain_names(spec)
        export_onnx(module, given, folder / "model.onnx", precision="float32")
        _with_shapes(folder / "model.onnx")
        job = {
            "onnx": str(folder / "model.onnx"),
            "out": str(folder / "out"),
            "keep": [part.name for part in given.input.inputs if len(part.shape) != 3],
            "calibration": None if precision != "int8" else _saved(calibration, given, folder),
        }
        write_json(folder / "job.json", job)
        try:
            run(python, SCRIPT, [folder / "job.json"], folder)
        except StageError as error:
            raise StageError(
                "The network cannot be converted to TFLite by onnx2tf.",
                where=error.where,
                fix="take export.route: litert, or leave tflite out of export.formats",
            ) from error
        made = folder / "out" / MADE[precision]
        if not made.is_file():
            raise StageError(
                f"onnx2tf wrote no {precision} file of this network.",
                fix="take export.route: litert, or leave the precision out of export.precisions",
            )
        model = flatbuffer.parse(made.read_bytes())
    _refuse_tensorflow(model)
    _order_inputs(model, [part.name for part in given.input.inputs])
    return write_tflite(model, spec, path, precision)


def _plain_names(spec: ModelSpec) -> ModelSpec:
    """The same spec with names that every converter keeps as they are."""
    parts = tuple(
        part.model_copy(update={"name": f"in{number}"})
        for number, part in enumerate(spec.input.inputs)
    )
    given = NamedInputs(inputs=parts) if isinstance(spec.input, NamedInputs) else parts[0]
    return spec.model_copy(update={"input": given, "output": OUTPUT})


def _with_shapes(path: Path) -> None:
    """Sets the batch to 1 and writes every tensor's shape down: where onnx2tf has to find a shape
    out itself, it takes a picture's axes for others if their sizes fit.
    """
    import onnx

    model: Any = onnx.load(str(path))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(onnx.shape_inference.infer_shapes(model), str(path))


def _saved(calibration: Any, spec: ModelSpec, folder: Path) -> dict[str, str]:
    """Calibration samples as files by the input's name, images channels last."""
    files = {}
    for part, samples in zip(spec.input.inputs, arguments(calibration), strict=True):
        files[part.name] = str(folder / f"{part.name}.npy")
        np.save(files[part.name], _in_layout(samples, part), allow_pickle=False)
    return files


def _in_layout(samples: NDArray[Any], part: InputSpec) -> NDArray[Any]:
    x = np.asarray(samples, part.dtype)
    return np.ascontiguousarray(np.moveaxis(x, 1, -1) if len(part.shape) == 3 else x)


def _refuse_tensorflow(model: Any) -> None:
    """Refuses operators of tensorflow ("Flex"), which TFLite has only with all of tensorflow."""
    codes = [code.customCode.decode() for code in model.operatorCodes if code.customCode]
    flex = sorted(code for code in codes if code.startswith("Flex"))
    if flex:
        raise StageError(
            f"The network uses an operator that TFLite cannot express: {flex[0]}.",
            where="onnx2tf wrote it as an operator of tensorflow, which LiteRT does not have",
            fix="replace it in the network, or leave tflite out of export.formats",
        )


def _order_inputs(model: Any, names: Sequence[str]) -> None:
    """Brings the inputs into the spec's order, which tensorflow does not keep."""
    (signature,) = model.signatureDefs
    place = {end.name.decode(): end.tensorIndex for end in signature.inputs}
    if set(place) != set(names):
        raise StageError(
            f"onnx2tf left the inputs {sorted(place)} of {sorted(names)}.",
            fix="take export.route: litert",
        )
    graph = model.subgraphs[0]
    graph.inputs = np.array([place[name] for name in names], np.int32)
