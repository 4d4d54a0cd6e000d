"""Whether two runtimes give the same answers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgekd.errors import StageError
from edgekd.results import ParityFigures
from edgekd.spec import DeployedSpec, Task

NEAR_TIE_STEPS = 2.0
LEAST_WITHIN_ONE_STEP = 0.99
ROUNDING = 1e-3  # share of a step that float arithmetic may add to a whole step


@dataclass(frozen=True)
class Comparison:
    """How far two sets of logits agree; the fields are those of `results.ParityFigures`."""

    agreement: float
    near_ties: int
    max_steps: float
    within_one_step: float
    n: int
    outputs: int
    """Numbers that were compared: samples times classes."""
    disagreeing: int | None
    """The first sample, no near-tie, with different answers."""
    farthest: int
    """The sample with the largest difference."""

    def figures(self, *, stage: str, seed: int, precision: str, pair: str) -> ParityFigures:
        """The same as figures of a run."""
        return ParityFigures(
            stage=stage,
            seed=seed,
            precision=precision,
            pair=pair,
            agreement=self.agreement,
            near_ties=self.near_ties,
            max_steps=self.max_steps,
            within_one_step=self.within_one_step,
            n=self.n,
        )


def quantization_step(reference: NDArray[np.floating], deployed: DeployedSpec | None) -> float:
    """The unit of differences: the int8 output's scale, or what it would be for `reference`.

    Args:
        reference: logits (N, C), whose range over 255 is taken where there is no int8 output.
        deployed: spec of an int8 file, or None.
    """
    if deployed is not None and deployed.output_quantization is not None:
        return deployed.output_quantization.scale
    extent = float(max(reference.max(), 0.0) - min(reference.min(), 0.0))
    return extent / 255 if extent > 0 else 1.0


def compare(
    reference: NDArray[np.floating],
    other: NDArray[np.floating],
    step: float,
    task: Task = "classification",
) -> Comparison:
    """Compares outputs (N, C) of the same samples.

    Of classes, the answer is the largest logit; a near-tie is a sample whose two best reference
    outputs lie within 2 steps: rounding alone may turn its answer, so it does not count in
    `agreement`, which is 1 if there is nothing else. Of several labels, the answer is which logits
    are above 0; a label whose reference lies within 2 steps of 0 is left out of the comparison,
    and its sample is a near-tie. Of a regression, answers are the same within 2 steps.

    Raises:
        ValueError: the shapes differ, or there is no sample.
        StageError: an output is not finite.
    """
    if reference.shape != other.shape or reference.ndim != 2 or not len(reference):
        raise ValueError(f"logits of shapes {reference.shape} and {other.shape}")
    if not (np.isfinite(reference).all() and np.isfinite(other).all()):
        raise StageError(
            "An exported file, or the network, answers with values that are no finite numbers.",
            fix="leave this precision or route out; float16 ends at 65504",
        )
    steps = np.abs(reference.astype(np.float64) - other) / step
    near, clear, same = _answers(task, reference.astype(np.float64), other, step, steps)
    wrong = np.flatnonzero(clear & ~same)
    return Comparison(
        agreement=float(same[clear].mean()) if clear.any() else 1.0,
        near_ties=int(near.sum()),
        max_steps=float(steps.max()),
        within_one_step=float((steps <= 1 + ROUNDING).mean()),
        n=len(reference),
        outputs=reference.size,
        disagreeing=int(wrong[0]) if len(wrong) else None,
        farthest=int(steps.max(1).argmax()),
    )


def _answers(
    task: Task,
    reference: NDArray[np.float64],
    other: NDArray[np.floating],
    step: float,
    steps: NDArray[np.float64],
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Per sample: whether it is a near-tie, whether it counts, whether the answers are the same."""
    close = NEAR_TIE_STEPS * (1 + ROUNDING)
    if task == "regression":
        every = np.ones(len(reference), bool)
        return ~every, every, np.all(steps <= close, axis=1)
    if task == "multilabel":
        clear = np.abs(reference) > close * step
        same = ((reference > 0) == (other > 0)) | ~clear
        return ~np.all(clear, axis=1), np.any(clear, axis=1), np.all(same, axis=1)
    best = np.sort(reference, axis=1)
    gap = best[:, -1] - best[:, -2] if best.shape[1] > 1 else np.full(len(best), np.inf)
    near = gap <= close * step
    return near, ~near, reference.argmax(1) == other.argmax(1)


def check(comparison: Comparison, *, pair: str, precision: str) -> None:
    """Demands that two runtimes agree.

    Args:
        comparison: what `compare` found.
        pair: the two, such as "torch/litert".
        precision: at all but float32, 99 % of the outputs must lie within one step, too; of a few
            samples, one output may always lie farther.

    Raises:
        StageError: they do not; it names the pair and a sample.
    """
    if comparison.disagreeing is not None:
        raise StageError(
            f"{pair} ({precision}) answer differently: {comparison.agreement:.2%} agreement.",
            where=f"sample {comparison.disagreeing} of {comparison.n}",
            fix="compare the runtimes layer by layer from that sample on; report it as a bug",
        )
    far = round((1 - comparison.within_one_step) * comparison.outputs)
    if precision != "float32" and far > math.ceil((1 - LEAST_WITHIN_ONE_STEP) * comparison.outputs):
        raise StageError(
            f"{pair} ({precision}) differ by up to {comparison.max_steps:.1f} quantization steps, "
            f"and only {comparison.within_one_step:.2%} of the outputs by at most one.",
            where=f"sample {comparison.farthest} of {comparison.n} has the largest difference",
            fix="compare the runtimes layer by layer from that sample on; report it as a bug",
        )
