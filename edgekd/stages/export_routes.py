"""Writing a TFLite file by one route or the other, and what it must pass."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import StageError
from edgekd.export.routes import LEAST_SCORE_LOST, LIBRARY, Route, first_that_works

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import nn

    from edgekd.data.dataset import Dataset
    from edgekd.export.deployed import Precision
    from edgekd.export.parity import Comparison
    from edgekd.spec import DeployedSpec, ModelSpec


@dataclass(frozen=True)
class Judge:
    """What a file of one precision is held against: torch's answers to validation samples."""

    spec: ModelSpec
    x: Any
    """Normalised samples, (N, *shape) or by name."""
    y: NDArray[Any]
    """Their targets."""
    reference: NDArray[np.float32]
    """Outputs (N, C) of the network in torch, quantized where the precision is."""
    precision: Precision
    step: Callable[[DeployedSpec], float]
    """The unit of differences, from what the file tells."""

    def gate(self, path: Path, told: DeployedSpec, what: str) -> None:
        """Demands that the file answers as torch does.

        Raises:
            StageError: it does not, or it does not run.
        """
        from edgekd.export.parity import check, compare
        from edgekd.runtimes import load

        found = compare(self.reference, load(path).run(self.x), self.step(told), self.spec.task)
        check(found, pair=what, precision=self.precision)

    def gate_anew(self, path: Path, told: DeployedSpec, plain: nn.Module, what: str) -> Comparison:
        """Demands that a file which was quantized anew is about as good as the network that edgekd
        quantized: its headline score on these samples is at most one point lower.

        Returns:
            How far it answers as the network in float32.

        Raises:
            StageError: it is worse, or it does not run.
        """
        from edgekd import inputs
        from edgekd.export.parity import compare
        from edgekd.runtimes import load
        from edgekd.tasks import metrics
        from edgekd.train.evaluate import logits_of

        answers = load(path).run(self.x)
        ours, theirs = (
            metrics.score(self.spec, outputs, self.y, runtime=runtime, split="validation")
            for outputs, runtime in ((self.reference, "torch"), (answers, "litert"))
        )
        if theirs.value < ours.value - LEAST_SCORE_LOST:
            raise StageError(
                f"{what}: quantized by onnx2tf it has {theirs.metric} {theirs.value:.1%} on "
                f"validation, and quantized by edgekd {ours.value:.1%}; more than one point less "
                "is refused.",
                where=f"{path.name}, {theirs.n} samples",
                fix="take export.route: litert",
            )
        in_float = logits_of(plain, inputs.tensors(self.x)).numpy()
        return compare(in_float, answers, self.step(told), self.spec.task)


@dataclass(frozen=True)
class Written:
    """A file that was written."""

    told: DeployedSpec
    warnings: tuple[str, ...] = ()
    """Of a TFLite file that took the second route: why."""
    anew: Comparison | None = None
    """Of an int8 file that onnx2tf quantized anew: how far it answers as the float32 network."""


def write_routed(
    path: Path,
    judge: Judge,
    wanted: tuple[Route, ...],
    *,
    write: Callable[[], DeployedSpec],
    plain: nn.Module,
    calibration: Callable[[], Any],
    progress: Any,
) -> Written:
    """Writes a TFLite file by the first route whose file passes; see `first_that_works`.

    Args:
        write: writes the file by litert-torch.
        plain: the network in float32, which onnx2tf converts.
        calibration: gives normalised training samples, for onnx2tf's int8.

    Raises:
        StageError: no route works.
    """
    several = len(wanted) > 1

    def attempt(route: Route) -> tuple[DeployedSpec, Comparison | None]:
        what = f"torch/{LIBRARY[route]}"
        if route == "litert":
            told = write()
            if several:  # the stage compares all files in any case
                judge.gate(path, told, what)
            return told, None
        from edgekd.export.onnx2tf_file import export_tflite_by_onnx2tf

        int8 = judge.precision == "int8"
        told = export_tflite_by_onnx2tf(
            plain,
            judge.spec,
            path,
            precision=judge.precision,
            calibration=calibration() if int8 else None,
            progress=progress,
        )
        if int8:
            return told, judge.gate_anew(path, told, plain, what)
        judge.gate(path, told, what)
        return told, None

    (told, anew), taken = first_that_works(wanted, attempt, path.name)
    return Written(told, (taken.warning,) if taken.warning else (), anew)


def calibration_of(data: Dataset, count: int, seed: int) -> Any:
    """The training samples that the stage `quantize` calibrates with: normalised, (count, *shape),
    or by name.
    """
    from edgekd import inputs
    from edgekd.train.batches import epoch_order

    chosen = epoch_order(len(data.train), seed, 0)[:count].cpu().numpy()
    return data.spec.normalise(inputs.take(data.train.x, chosen))
