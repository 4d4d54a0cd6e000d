"""Equal quantization parameters stand once in a TFLite file.

The zero points of weights and biases are zeros, eight bytes for each channel: of a small network
with depthwise convolutions a fifth of the file. A flatbuffer may refer to one vector from many
places, which the generated code never does.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def share_quantizations(model: Any) -> None:
    """Makes `model.Pack(builder)` write equal parameters, and equal vectors of zero points, once.

    Tensors' parameters that have anything but scales, zero points and an axis stay as they are.
    """
    tables: dict[Any, int] = {}
    vectors: dict[bytes, int] = {}
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            parameters = tensor.quantization
            if parameters is not None and _plain(parameters):
                parameters.Pack = _packer(parameters, tables, vectors)


def _plain(parameters: Any) -> bool:
    rest = (parameters.min, parameters.max, parameters.details)
    whole = parameters.scale is not None and parameters.zeroPoint is not None
    return whole and all(part is None for part in rest)


def _packer(parameters: Any, tables: dict[Any, int], vectors: dict[bytes, int]) -> Any:
    from ai_edge_litert import schema_py_generated as schema

    scale = np.asarray(parameters.scale, np.float32)
    zero_point = np.asarray(parameters.zeroPoint, np.int64)
    axis = int(parameters.quantizedDimension)
    key = (scale.tobytes(), zero_point.tobytes(), axis)

    def write(builder: Any) -> int:
        if key not in tables:
            scales = builder.CreateNumpyVector(scale)
            if key[1] not in vectors:
                vectors[key[1]] = builder.CreateNumpyVector(zero_point)
            schema.QuantizationParametersStart(builder)
            schema.QuantizationParametersAddScale(builder, scales)
            schema.QuantizationParametersAddZeroPoint(builder, vectors[key[1]])
            schema.QuantizationParametersAddQuantizedDimension(builder, axis)
            tables[key] = schema.QuantizationParametersEnd(builder)
        return tables[key]

    return write
