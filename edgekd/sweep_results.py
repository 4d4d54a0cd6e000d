"""The figures of a sweep: what `front.json` holds, and the page shows."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from edgekd.results import Estimate, Figures


class ObjectiveFigures(Figures):
    """What a sweep is about."""

    name: str
    """accuracy, size or latency on DEVICE."""
    metric: str
    """What accuracy means here: accuracy, macro_f1 or r2; else bytes or us."""
    limit: float | None = None
    """The most that a file may cost, in `metric`."""


class TrialFigures(Figures):
    """One setting, tried once."""

    number: int
    """From 0, in the order in which they began."""
    setting: dict[str, Any]
    """The value of each field."""
    state: Literal["finished", "stopped", "out", "diverged", "failed"]
    """Trained to its end; ended early; not trained, as it misses a limit or is not valid; its loss
    became infinite; or an error."""
    reason: str = ""
    """Why it is out or failed."""
    score: float | None = None
    """On validation: of the last network, or the best so far of a training that was ended."""
    values: dict[str, float] = Field(default_factory=dict)
    """Size in bytes and latency in microseconds, by objective."""
    curve: list[float] = Field(default_factory=list)
    """The score on validation after each epoch of the first training."""
    epochs: int = 0
    """Epochs that the whole first training has."""
    seconds: float = 0.0
    """What it took, without what was found finished."""
    front: bool = False
    """No other finished trial is better in one objective without being worse in another."""


class PointFigures(Figures):
    """A point of the front, made with several seeds."""

    trial: int
    """The trial that found it."""
    setting: dict[str, Any]
    """The value of each field."""
    pipeline: str
    """Its pipeline file, relative to the run folder."""
    seeds: list[int]
    """It was made with these."""
    score: Estimate
    """On validation; the mean over seeds with Student's 95 % interval, where there are several."""
    scores: list[float]
    """By seed."""
    values: dict[str, float]
    """Of the deployed file: bytes (the largest) and the median latency (the median over seeds)."""
    test: list[float]
    """On the test set, in the file's runtime, by seed. Nothing is chosen by it."""
    front: bool
    """Whether it is still on the front with these figures."""


class SweepFigures(Figures):
    """Everything that a sweep found out."""

    pipeline: str
    """The pipeline's name."""
    date: str
    """When it ended, ISO 8601, UTC."""
    objectives: list[ObjectiveFigures]
    """The first is the score."""
    trials: list[TrialFigures]
    """All of them, by number."""
    front: list[PointFigures]
    """From the cheapest to the dearest."""
    hypervolume: float | None
    """What the finished trials dominate of the box from the best to the worst figure of all that
    were trained or measured, 0 to 1; a limit stands in the place of the worst. Null where the box
    is flat."""
    ideal: list[float]
    """The box's best corner: the share of wrong answers, then what `objectives` say."""
    reference: list[float]
    """Its worst corner."""
    importance: dict[str, dict[str, float]]
    """By objective, the share of its variance that each field explains (fANOVA); empty where too
    few trials tell."""
    epochs_trained: int
    """Of the first training, over all trials."""
    epochs_whole: int
    """Had each trial that was trained gone to its end."""
    seconds: float
    """Of all trials, summed; with several at once, more than the clock says."""
