"""Export to ONNX: one file, dynamic batch, channels first, with the model's spec inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from edgekd.errors import StageError
from edgekd.export import onnx_graph, onnx_int8, onnx_pooling
from edgekd.export.baked import Baked, baked_spec, raw_example
from edgekd.export.deployed import Precision, deployed, example
from edgekd.export.failure import conversion_error
from edgekd.export.onnx_float16 import to_float16
from edgekd.export.quiet import quiet
from edgekd.inputs import batch_axes
from edgekd.spec import METADATA_NAME, DeployedSpec, ModelSpec, Quantization
from edgekd.store import write_atomic


def export_onnx(
    module: nn.Module, spec: ModelSpec, path: Path, *, precision: Precision, baked: bool = False
) -> DeployedSpec:
    """Writes an ONNX file and returns what stands in its metadata: `converted`, then `write`.

    An int8 file takes and gives int8 (codes of categories stay int32), and computes with uint8
    inside: the same numbers shifted by 128, which ONNX Runtime fuses into integer kernels on every
    processor.

    Args:
        module: for float32 and float16, a network in evaluation mode; for int8, what
            `edgekd.compress.quantize.convert(prepared, fold=True)` gives; for int8-weights and
            int8-dynamic, `edgekd.compress.weights.round_weights(model, example)`, so that storing
            the weights as int8 adds no error.
        spec: names of input and output, shape, labels.
        path: the file to write.
        precision: all but int16x8. Only an int8 file has integers at its ends.
        baked: raw numbers in, probabilities out; see `edgekd.export.baked`. An int8 file then has
            these at its ends, and int8 in between. For float32 and int8.

    Raises:
        StageError: ONNX cannot express the network; the operator and its layer are named. Or the
            precision.
    """
    model = converted(module, spec, baked=baked)
    return write(model, spec, path, precision=precision, baked=baked)


def write(
    model: Any, spec: ModelSpec, path: Path, *, precision: Precision, baked: bool = False
) -> DeployedSpec:
    """Brings an ONNX model into a precision and writes it; see `export_onnx`.

    Args:
        model: what `converted` gave; not changed, so that it serves several precisions.
    """
    import onnx

    spec = baked_spec(spec) if baked else spec
    work = onnx.ModelProto()
    work.CopyFrom(model)
    model = _in_precision(work, precision)
    quantizations: list[Quantization | None] = [None] * len(spec.input.inputs)
    output_quantization = None
    if precision == "int8":
        onnx_pooling.pool_means(model)
        onnx_graph.own_weights(model.graph)
        onnx_graph.quantize_biases(model.graph)
        onnx_graph.drop_clamps(model.graph)
        if baked:
            onnx_graph.unsigned_activations(model.graph)
        else:
            quantizations, output_quantization = onnx_graph.integer_ends(model.graph)
    told = deployed(spec, "onnx", precision, quantizations, output_quantization, baked=baked)
    model.producer_name, model.producer_version = METADATA_NAME, ""
    model.doc_string = spec.description
    onnx.helper.set_model_props(model, {METADATA_NAME: told.model_dump_json()})
    onnx.checker.check_model(model)
    write_atomic(path, model.SerializeToString())
    return told


def _in_precision(model: Any, precision: Precision) -> Any:
    """The float model in one of the precisions that are made of it; others as they are."""
    if precision == "float16":
        try:
            return to_float16(model)
        except Exception as error:
            raise conversion_error(error, "ONNX") from error
    if precision == "int8-weights":
        onnx_int8.store_int8(model.graph)
    elif precision == "int8-dynamic":
        onnx_int8.compute_int8(model.graph)
        onnx_int8.one_sample(model.graph)
    elif precision == "int16x8":
        raise StageError(
            "There is no int16x8 file in ONNX: ONNX Runtime has no kernels for 16-bit integers.",
            fix="take int8 or float16, or write a TFLite file",
        )
    return model


def converted(module: nn.Module, spec: ModelSpec, *, baked: bool = False) -> Any:
    """The ONNX model of a network, without what is only of use to whoever debugs the exporter.

    Raises:
        StageError: ONNX cannot express the network; the operator and its layer are named.
    """
    if baked:
        model = _proto(Baked(module, spec), baked_spec(spec), raw_example(spec, 2))
    else:
        model = _proto(module, spec, example(spec, 2, module))
    onnx_graph.strip(model)
    return model


def _proto(module: nn.Module, spec: ModelSpec, inputs: tuple[Tensor, ...]) -> Any:
    batch = torch.export.Dim("batch", min=1)
    named = dict(enumerate(inputs))
    try:
        with quiet():
            program = torch.onnx.export(
                module,
                inputs,
                dynamo=True,
                input_names=[part.name for part in spec.input.inputs],
                output_names=[spec.output],
                dynamic_shapes=batch_axes(module, named, batch),
                verbose=False,
            )
            assert program is not None
            return program.model_proto
    except Exception as error:
        raise conversion_error(error, "ONNX", module, inputs) from error
