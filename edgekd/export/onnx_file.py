"""Export to ONNX: one file, dynamic batch, channels first, with the model's spec inside."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import nn

from edgekd.export import onnx_graph, onnx_pooling
from edgekd.export.deployed import Precision, deployed, example
from edgekd.export.failure import conversion_error
from edgekd.export.quiet import quiet
from edgekd.inputs import batch_axes
from edgekd.spec import METADATA_NAME, DeployedSpec, ModelSpec, Quantization
from edgekd.store import write_atomic


def export_onnx(
    module: nn.Module, spec: ModelSpec, path: Path, *, precision: Precision
) -> DeployedSpec:
    """Writes an ONNX file and returns what stands in its metadata.

    An int8 file takes and gives int8 (codes of categories stay int32), and computes with uint8
    inside: the same numbers shifted by 128, which ONNX Runtime fuses into integer kernels on every
    processor.

    Args:
        module: for float32, a network in evaluation mode; for int8, what
            `edgekd.compress.quantize.convert(prepared, fold=True)` gives.
        spec: names of input and output, shape, labels.
        path: the file to write.
        precision: float32 or int8.

    Raises:
        StageError: ONNX cannot express the network; the operator is named.
    """
    import onnx

    model = _proto(module, spec)
    onnx_graph.strip(model)
    quantizations: list[Quantization | None] = [None] * len(spec.input.inputs)
    output_quantization = None
    if precision == "int8":
        onnx_pooling.pool_means(model)
        onnx_graph.own_zero_points(model.graph)
        onnx_graph.quantize_biases(model.graph)
        onnx_graph.drop_clamps(model.graph)
        quantizations, output_quantization = onnx_graph.integer_ends(model.graph)
    told = deployed(spec, "onnx", precision, quantizations, output_quantization)
    model.producer_name, model.producer_version = METADATA_NAME, ""
    model.doc_string = spec.description
    onnx.helper.set_model_props(model, {METADATA_NAME: told.model_dump_json()})
    onnx.checker.check_model(model)
    write_atomic(path, model.SerializeToString())
    return told


def _proto(module: nn.Module, spec: ModelSpec) -> Any:
    batch = torch.export.Dim("batch", min=1)
    inputs = example(spec, 2, module)
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
        raise conversion_error(error, "ONNX") from error
