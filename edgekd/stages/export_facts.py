"""What is written into an exported file, and beside it, when it answers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from edgekd.config.stages import MetadataSettings
from edgekd.errors import StageError

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset
    from edgekd.progress import Progress
    from edgekd.results import ModelFigures
    from edgekd.spec import DeployedSpec


def describe(
    path: Path, told: DeployedSpec, settings: MetadataSettings | None, progress: Progress
) -> list[str]:
    """Writes FILE.json beside a file, and where `export.metadata` is given the same into it.

    Returns:
        A warning where tflite-support is not to be had: the file stands without its metadata.
    """
    from edgekd.export.facts import add_to_onnx, facts_of, write_facts

    given = settings.model_dump() if settings is not None else {}
    facts = facts_of(told, **given)
    warnings = []
    if settings is not None and told.format == "onnx":
        add_to_onnx(path, facts)
    if settings is not None and told.format == "tflite":
        from edgekd.export.tflite_metadata import add_to_tflite

        try:
            add_to_tflite(path, told, facts, progress)
        except StageError as error:
            detail = f" ({error.where})" if error.where else ""
            warnings.append(
                f"TFLite files have no metadata for Android: {error.what}{detail}. "
                "`edgekd run --from export` tries again"
            )
    write_facts(path, told, facts)
    return warnings


def golden(folder: Path, models: list[ModelFigures], data: Dataset, count: int) -> None:
    """Writes the first validation samples and what each file gives for them."""
    from edgekd import inputs
    from edgekd.runtimes.golden import write_golden

    raw = inputs.take(data.validation.x, slice(count))
    y = data.validation.y[:count]
    targets = [data.labels[number] for number in y] if y.ndim == 1 else y.tolist()
    write_golden(folder, [folder / model.path for model in models], raw, targets, data.spec)
