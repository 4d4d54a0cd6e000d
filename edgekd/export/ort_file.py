"""Export to ORT format: an ONNX file as ONNX Runtime keeps it in memory after its optimisations,
for builds of the runtime that hold only the operators which a model needs.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from edgekd.errors import StageError
from edgekd.export.quiet import quiet
from edgekd.spec import METADATA_NAME, DeployedSpec
from edgekd.store import write_atomic

CONFIG = ".required_operators_and_types.config"


def export_ort(source: Path, path: Path) -> DeployedSpec:
    """Writes an .ort file and, beside it, NAME.required_operators_and_types.config, which a reduced
    build of ONNX Runtime takes (`build.sh --include_ops_by_config FILE
    --enable_reduced_operator_type_support`).

    The graph is optimised for any processor (style "Fixed", without the layouts of one kind of
    processor). The file keeps the ONNX file's metadata.

    Args:
        source: an .onnx file that edgekd exported.
        path: the .ort file to write.

    Returns:
        What stands in its metadata.

    Raises:
        StageError: ONNX Runtime cannot load or convert the file.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-ort-") as name:
        folder = Path(name)
        given = folder / f"{path.stem}.onnx"
        told = _told_as_ort(source, given)
        try:
            with quiet():
                _convert(given, given.with_suffix(".ort"))
        except Exception as error:  # its classes share no public base
            raise StageError(
                "ONNX Runtime cannot convert this file to ORT format.",
                where=f"{source}: {' '.join(str(error).split())[:400]}",
                fix="leave ort out of export.formats",
            ) from error
        made = given.with_suffix(".ort")
        config = _without_folder(given.with_suffix(CONFIG), folder)
        write_atomic(path, made.read_bytes())
    write_atomic(path.with_suffix(CONFIG), config)
    return told


def _convert(source: Path, target: Path) -> None:
    """What `onnxruntime.tools.convert_onnx_models_to_ort` does in its style "Fixed", and one thing
    more: on an x86-64 processor without VNNI, int8 weights become uint8 ones, because a loaded .ort
    file is optimised no more, and its sums would saturate (`session.x64quantprecision`).
    """
    import onnxruntime
    from onnxruntime.tools.ort_format_model import create_config_from_models

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(target)
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    entries = {"save_model_format": "ORT", "qdqisint8allowed": "0", "x64quantprecision": "1"}
    for name, value in entries.items():
        options.add_session_config_entry(f"session.{name}", value)
    onnxruntime.InferenceSession(
        str(source),
        options,
        providers=["CPUExecutionProvider"],
        disabled_optimizers=["NchwcTransformer"],  # its layout is that of one kind of processor
    )
    create_config_from_models([target], source.with_suffix(CONFIG), True)


def _told_as_ort(source: Path, target: Path) -> DeployedSpec:
    """Writes the same ONNX file, which says that its format is ort."""
    import onnx

    model = onnx.load(str(source))
    entry = next(e for e in model.metadata_props if e.key == METADATA_NAME)
    told = DeployedSpec.model_validate_json(entry.value).model_copy(update={"format": "ort"})
    entry.value = told.model_dump_json()
    target.write_bytes(model.SerializeToString())
    return told


def _without_folder(file: Path, folder: Path) -> str:
    """A config file without the path of the folder that it was made in."""
    return file.read_text(encoding="utf-8").replace(f"{folder.resolve()}/", "")
