"""Successive halving: many settings are tried shortly, few for long (Jamieson and Talwalkar 2016,
"Non-stochastic best arm identification and hyperparameter optimization", algorithm 1; the inner
loop of Hyperband, Li et al. 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

from edgekd.config.methods import Method, OneMethod, parts_of
from edgekd.config.schedules import AUTO, WeightSchedule

FACTOR = 3
"""So many times fewer settings, for as many times more epochs, in each round."""
MOST_RUNS = 5.0
"""Whole trainings that a search may cost: a quarter of a grid of 20 ..."""
SHARE = 0.5
"""... and of a smaller grid this share."""
TEMPERATURES = (0.25, 0.5, 1.0, 2.0, 4.0)
"""Times the method's own default."""
WEIGHTS = (1 / 9, 1 / 3, 1.0, 3.0)
"""Times the method's own default; the loss with the labels keeps its weight."""


@dataclass(frozen=True)
class Candidate:
    """One setting to try; what is None is not searched."""

    temperature: float | None
    weight: float | None
    default: bool
    """Whether it is what the method has without a search."""

    def of(self, method: Method) -> Method:
        """The method with these numbers in the place of `auto`."""
        chosen = {"temperature": self.temperature, "weight": self.weight}
        return replaced(method, {name: v for name, v in chosen.items() if v is not None})


def searched(method: Method) -> list[tuple[OneMethod, str]]:
    """The fields that are `auto`, with the method that they are of."""
    return [
        (part, name)
        for part in parts_of(method)
        for name in ("temperature", "weight")
        if getattr(part, name, None) == AUTO
    ]


def replaced(method: Method, numbers: dict[str, float]) -> Method:
    """The method with numbers in the place of `auto`."""
    parts = tuple(
        part.model_copy(update={n: v for n, v in numbers.items() if getattr(part, n, None) == AUTO})
        for part in parts_of(method)
    )
    return parts if isinstance(method, tuple) else parts[0]


def candidates(method: Method) -> list[Candidate]:
    """The grid: 5 temperatures times 4 weights, or as many as are searched."""
    own = {name: type(part).model_fields[name].default for part, name in searched(method)}
    temperatures, weights = (
        [(own[name] * factor, factor == 1) for factor in factors] if name in own else [(None, True)]
        for name, factors in (("temperature", TEMPERATURES), ("weight", WEIGHTS))
    )
    return [
        Candidate(_short(t), _short(w), plain and usual)
        for (t, plain), (w, usual) in product(temperatures, weights)
    ]


def _short(value: float | None) -> float | None:
    return None if value is None else float(f"{value:.4g}")


@dataclass(frozen=True)
class Round:
    """So many settings are trained for so many epochs."""

    settings: int
    epochs: int


def rounds(settings: int, epochs: int) -> list[Round]:
    """The rounds of a search, within its bound as far as an epoch can be no shorter.

    Args:
        settings: to choose from, 2 or more.
        epochs: of the training that it is for, and at most of a round.
    """
    sizes = [settings]
    while sizes[-1] > FACTOR:
        sizes.append(math.ceil(sizes[-1] / FACTOR))
    bound = min(MOST_RUNS, SHARE * settings) * epochs
    unit = sum(size * FACTOR**place for place, size in enumerate(sizes))
    lengths = [max(1, int(bound / unit * FACTOR**place)) for place in range(len(sizes))]
    return [Round(size, min(epochs, length)) for size, length in zip(sizes, lengths, strict=True)]


@dataclass(frozen=True)
class Trial:
    """One short training."""

    candidate: Candidate
    round: int
    """From 0."""
    epochs: int
    score: float
    """On validation, the mean over the last quarter of its epochs."""
    loss: float
    """Likewise, of the loss with the labels: decides between equal scores."""


def search(
    grid: Sequence[Candidate],
    epochs: int,
    train: Callable[[Candidate, int, int], tuple[float, float]],
) -> tuple[Candidate, list[Trial]]:
    """The best of a grid, and all that was tried.

    The default stays in until the end, so that it is left only for what is better beside it.

    Args:
        epochs: of the training that the search is for.
        train: from a candidate, the round (from 0) and its epochs to validation score and loss.
    """
    trials: list[Trial] = []
    left = list(grid)
    best = left[0]
    plan = rounds(len(grid), epochs)
    for number, now in enumerate(plan):
        tried = [Trial(c, number, now.epochs, *train(c, number, now.epochs)) for c in left]
        trials += tried
        ranked = sorted(tried, key=lambda t: (-t.score, t.loss, not t.candidate.default))
        best = ranked[0].candidate
        if number + 1 < len(plan):
            left = _kept([trial.candidate for trial in ranked], plan[number + 1].settings)
    return best, trials


def _kept(ranked: list[Candidate], size: int) -> list[Candidate]:
    """The first of them, with the default as the last if it is not among them."""
    default = next(c for c in ranked if c.default)
    kept = ranked[:size]
    return kept if default in kept else [*kept[:-1], default]


def shortened(method: Method, share: float) -> Method:
    """A method whose numbers of epochs are of a training of this share of the epochs."""
    return replaced_parts(method, lambda part: part.model_copy(update=_shorter(part, share)))


def replaced_parts(method: Method, change: Callable[[OneMethod], OneMethod]) -> Method:
    """The method with every part changed."""
    parts = tuple(change(part) for part in parts_of(method))
    return parts if isinstance(method, tuple) else parts[0]


def _shorter(part: OneMethod, share: float) -> dict[str, object]:
    found: dict[str, object] = {}
    for name in ("warmup_epochs", "reversal_epochs"):
        if hasattr(part, name):
            found[name] = max(1, round(share * getattr(part, name)))
    weight = getattr(part, "weight", None)
    if isinstance(weight, WeightSchedule) and weight.until is not None and weight.until >= 1:
        found["weight"] = weight.model_copy(update={"until": max(1.0, share * weight.until)})
    return found
