"""`edgekd quantize`: an ONNX file of any origin in int8, and what that cost."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.export.given_onnx import adapt, told_of
from edgekd.given import static
from edgekd.given.static import Calibration
from edgekd.given.stayed import float_kernels
from edgekd.progress import SILENT, Progress
from edgekd.results import Accuracy
from edgekd.runtimes import foreign
from edgekd.runtimes.check_onnx import inputs_of, read_onnx
from edgekd.runtimes.probe import probe
from edgekd.spec import METADATA_NAME, InputSpec, ModelSpec, Task
from edgekd.store import write_atomic, write_json

if TYPE_CHECKING:
    from edgekd.data.dataset import Dataset, Split

PLACE = "--"
"""Before the names of `OnnxInput`'s fields: they are options here."""
FIGURES = "quantized.json"


class Tried(BaseModel):
    """One calibration and what its file is worth on the validation samples."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    calibration: Calibration
    samples: int
    validation: Accuracy


class Quantized(BaseModel):
    """What `edgekd quantize` wrote and found."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    file: Path
    calibration: Calibration
    samples: int
    """Training samples that were observed."""
    bytes_before: int
    bytes_after: int
    before: Accuracy
    """Of the file as given, on the test samples."""
    after: Accuracy
    agreement: float | None
    """Share of test samples with the same answer; None of a regression."""
    stayed_float: dict[str, int]
    """Operators that ONNX Runtime computes in float, by type."""
    tried: list[Tried]
    warnings: list[str]


def quantize_file(
    path: Path,
    data: Dataset,
    out: Path,
    *,
    settings: OnnxInput,
    calibrations: Sequence[Calibration] = static.CALIBRATIONS,
    samples: int = 256,
    progress: Progress = SILENT,
) -> Quantized:
    """Writes the int8 form of `path` into the folder `out`, with the same inputs and outputs.

    Of several calibrations the one is kept that is best on the validation samples; all figures of
    the result are of the test samples.

    Args:
        data: calibrates by its training samples.
        settings: how the file wants its input, where it does not tell.
        samples: most training samples that are observed.

    Raises:
        StageError: the file is damaged, is quantized already, or does not fit the data.
        EdgekdError: its runtime crashes on it.
    """
    model = read_onnx(path)
    if static.already_quantized(model):
        raise StageError(
            "This file is quantized already.", where=str(path), fix="give the float32 file"
        )
    if not isinstance(data.spec, InputSpec):
        raise StageError(
            "A file with one input is needed, and the data has several.",
            where=f"{path}; {', '.join(part.name for part in data.spec.inputs)}",
        )
    with tempfile.TemporaryDirectory(prefix="edgekd-quantize-") as name:
        folder = Path(name)
        asker = _Asker(data, settings, folder)
        if told_of(model, path) is None:
            asker.spec = asker.spec.with_raw_answers()
        warnings = asker.adapted(path).warnings
        probe(path, runs=False)
        before = asker.answers(path, data.test)
        feed = _feed(path, model, data.spec, settings)
        x = feed(_spread(data.train.x, samples))
        prepared = folder / "prepared.onnx"
        ready = static.prepared(path, prepared)
        tried: list[tuple[Tried, Path]] = []
        for number, calibration in enumerate(calibrations):
            progress.step(number, len(calibrations), f"calibration {calibration}")
            file = folder / f"{calibration}.onnx"
            few = x[: static.samples_within(ready, calibration, len(x))]
            static.quantize(prepared, ready, file, few, calibration)
            answers = asker.answers(file, data.validation)
            score = asker.score(answers, data.validation, "validation")
            found = Tried(calibration=calibration, samples=len(few), validation=score)
            tried.append((found, file))
        best, file = max(tried, key=lambda each: each[0].validation.value)
        after = asker.answers(file, data.test)
        stayed = float_kernels(file, folder)
        written = out / f"{path.stem}-int8.onnx"
        out.mkdir(parents=True, exist_ok=True)
        write_atomic(written, _described(file))
    result = Quantized(
        file=written,
        calibration=best.calibration,
        samples=best.samples,
        bytes_before=path.stat().st_size,
        bytes_after=written.stat().st_size,
        before=asker.score(before, data.test, "test"),
        after=asker.score(after, data.test, "test"),
        agreement=agreement(before, after, data.task),
        stayed_float=dict(stayed),
        tried=[each for each, _file in tried],
        warnings=warnings,
    )
    write_json(out / FIGURES, result.model_dump(mode="json"))
    return result


class _Asker:
    """Runs a file of any input convention on the data, by its adapted form."""

    def __init__(self, data: Dataset, settings: OnnxInput, folder: Path) -> None:
        self.data, self.settings, self.folder = data, settings, folder
        self.spec: ModelSpec = data.model_spec("")

    def adapted(self, path: Path) -> Any:
        """Writes the adapted form; what was found in the file."""
        return adapt(path, self.spec, self.settings, self._form(path), PLACE)

    def _form(self, path: Path) -> Path:
        kind = "int8" if path.is_relative_to(self.folder) else "given"
        return self.folder / f"adapted-{kind}-{path.stem}.onnx"

    def answers(self, path: Path, split: Split) -> NDArray[np.float32]:
        """Outputs (N, C) in the data's order of classes.

        Raises:
            StageError: the file does not run on the data, or answers otherwise.
        """
        if not self._form(path).is_file():
            self.adapted(path)
        x = self.data.spec.normalise(np.asarray(split.x))
        return foreign.answers(self._form(path), x, self.data.classes, path)

    def score(self, answers: NDArray[np.float32], split: Split, name: str) -> Accuracy:
        """The task's headline score with its interval."""
        from edgekd.tasks import metrics

        return metrics.score(self.spec, answers, split.y, runtime="onnxruntime", split=name)


def _feed(path: Path, model: Any, spec: InputSpec, settings: OnnxInput) -> foreign.Feed:
    """From raw samples to what the file itself takes."""
    (source,) = inputs_of(model.graph)
    told = told_of(model, path)
    if told is not None:
        theirs = told.model.input
        assert isinstance(theirs, InputSpec), "the file has one input"
        settings = OnnxInput(mean=theirs.mean, std=theirs.std, layout="auto")
    shape = [d.dim_value or None for d in source.type.tensor_type.shape.dim]
    where = f"{path}, {source.name}"
    layout = foreign.layout_of(shape, spec.shape, settings.layout, where=where, place=PLACE)
    factor, offset = foreign.affine(spec, settings, where=str(path), place=PLACE)
    return foreign.Feed(layout, factor, offset)


def _spread(x: Any, most: int) -> NDArray[Any]:
    """Up to so many samples, evenly over all: data may lie sorted by class."""
    return np.asarray(x[np.unique(np.linspace(0, len(x) - 1, min(most, len(x))).astype(int))])


def _described(path: Path) -> bytes:
    """The file, its own description (of a file of edgekd) saying int8."""
    import onnx

    model = onnx.load(str(path))
    told = told_of(model, path)
    for entry in model.metadata_props:
        if told is not None and entry.key == METADATA_NAME:
            entry.value = told.model_copy(update={"precision": "int8"}).model_dump_json()
    return model.SerializeToString()


def agreement(before: NDArray[np.float32], after: NDArray[np.float32], task: Task) -> float | None:
    """Share of samples (N, C) with the same answer; None of a regression."""
    if task == "regression":
        return None
    if task == "multilabel":
        return float(((before > 0) == (after > 0)).all(1).mean())
    return float((before.argmax(1) == after.argmax(1)).mean())
