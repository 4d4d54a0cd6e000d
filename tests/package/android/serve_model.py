"""The runtime behind the JVM tests' stand-ins: `python serve_model.py MODEL THREADS`.

Says the names of the inputs and outputs, then answers: an input is a big-endian length and the
bytes, and so is an output.
"""

from __future__ import annotations

import struct
import sys
from typing import Any, BinaryIO

import numpy as np


def main(path: str, threads: int) -> None:
    given, answered = sys.stdin.buffer, sys.stdout.buffer
    inputs, outputs, run = (_litert if path.endswith(".tflite") else _onnx)(path, threads)
    for names in ([name for name, *_ in inputs], outputs):
        answered.write(struct.pack(">i", len(names)))
        for name in names:
            _write(answered, name.encode())
    answered.flush()
    while header := given.read(4):
        arrays = []
        for number, (_, shape, dtype) in enumerate(inputs):
            size = struct.unpack(">i", header if number == 0 else given.read(4))[0]
            arrays.append(np.frombuffer(given.read(size), dtype).reshape(shape))
        for each in run(arrays):
            _write(answered, np.ascontiguousarray(each).tobytes())
        answered.flush()


def _write(stream: BinaryIO, content: bytes) -> None:
    stream.write(struct.pack(">i", len(content)) + content)


def _litert(path: str, threads: int) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=path, num_threads=threads)
    interpreter.allocate_tensors()
    given, told = interpreter.get_input_details(), interpreter.get_output_details()

    def run(arrays: list[np.ndarray]) -> list[np.ndarray]:
        for each, array in zip(given, arrays, strict=True):
            interpreter.set_tensor(each["index"], array)
        interpreter.invoke()
        return [interpreter.get_tensor(each["index"]) for each in told]

    inputs = [(each["name"], each["shape"], each["dtype"]) for each in given]
    return inputs, [each["name"] for each in told], run


def _onnx(path: str, threads: int) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.x64quantprecision", "1")
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": "f4", "tensor(int8)": "i1", "tensor(int32)": "i4"}

    def run(arrays: list[np.ndarray]) -> list[Any]:
        names = [each.name for each in session.get_inputs()]
        return list(session.run(None, dict(zip(names, arrays, strict=True))))

    inputs = [
        (each.name, [n if isinstance(n, int) else 1 for n in each.shape], types[each.type])
        for each in session.get_inputs()
    ]
    return inputs, [each.name for each in session.get_outputs()], run


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
