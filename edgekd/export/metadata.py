"""Reads what an exported file tells about itself."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from edgekd.errors import DataError
from edgekd.export import flatbuffer
from edgekd.spec import METADATA_NAME, DeployedSpec

ORT_IDENTIFIER = b"ORTM"


def read(path: Path) -> DeployedSpec | None:
    """The spec inside an ONNX, ORT or TFLite file; None if the file was not made by edgekd.

    Raises:
        DataError: the file cannot be opened, or its spec is broken.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError("A model file cannot be opened.", where=f"{path}: {error}") from error
    is_tflite = content[4:8] == flatbuffer.IDENTIFIER
    if content[4:8] == ORT_IDENTIFIER:
        text = _read_ort(content, path)
    else:
        text = flatbuffer.read_entry(content) if is_tflite else _read_onnx(content)
    if text is None:
        return None
    try:
        return DeployedSpec.model_validate_json(text)
    except ValidationError as error:
        raise DataError(
            "The description inside a model file cannot be read.",
            where=f"{path}: {error}",
            fix="export the model again with this version of edgekd",
        ) from error


def _read_ort(content: bytes, path: Path) -> str | None:
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes share no public base
        raise DataError(
            "ONNX Runtime cannot load this file.", where=f"{path}: {str(error)[:200]}"
        ) from error
    return session.get_modelmeta().custom_metadata_map.get(METADATA_NAME)


def _read_onnx(content: bytes) -> str | None:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load_model_from_string(content)
    except DecodeError:
        return None
    return next((p.value for p in model.metadata_props if p.key == METADATA_NAME), None)
