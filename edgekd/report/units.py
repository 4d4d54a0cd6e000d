"""Numbers as people read them."""

from __future__ import annotations

import math
import re

from edgekd.results import Accuracy, MetricFigures
from edgekd.tasks import names

NONE = "–"
"""Stands for a figure that does not exist."""


def significant(value: float, digits: int = 3) -> str:
    """`value` with about `digits` significant digits, thousands separated, never an exponent."""
    if not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    rounded = float(f"{value:.{digits - 1}e}")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{min(decimals, 6)}f}"


def count(value: float | None) -> str:
    """A whole number with thousands separated."""
    return NONE if value is None else f"{round(value):,}"


def about(value: float) -> str:
    """A whole number for a sentence: 272,186 becomes 272,000; small ones stay."""
    return significant(value) if value >= 10_000 else count(value)


def _scaled(value: float, steps: tuple[tuple[float, str], ...]) -> str:
    if not math.isfinite(value):
        return NONE
    for factor, unit in steps:
        if abs(value) >= factor * 0.9995 or (factor, unit) == steps[-1]:
            number = f"{value:,.0f}" if unit == "B" else significant(value / factor)
            return f"{number} {unit}"
    raise AssertionError("the last step always fits")


def size(value: float | None) -> str:
    """Bytes in decimal units: `19.2 kB`."""
    steps = ((1e9, "GB"), (1e6, "MB"), (1e3, "kB"), (1.0, "B"))
    return NONE if value is None else _scaled(value, steps)


def operations(value: float | None) -> str:
    """Multiply-accumulates: `2.55 M`."""
    if value is None:
        return NONE
    return _scaled(value, ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))).strip()


def microseconds(value: float | None) -> str:
    """A time given in microseconds: `83.1 µs`, `1.25 ms`."""
    return NONE if value is None else _scaled(value, ((1e6, "s"), (1e3, "ms"), (1.0, "µs")))


def duration(seconds: float) -> str:
    """A time for people: `0.4 s`, `2 min 05 s`, `1 h 12 min`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def percent(value: float | None, digits: int = 1) -> str:
    """A share of 0 to 1: `98.6 %`."""
    return NONE if value is None or not math.isfinite(value) else f"{100 * value:.{digits}f} %"


def interval(low: float, high: float) -> str:
    """An interval of shares: `97.2 to 99.6 %`."""
    return f"{100 * low:.1f} to {percent(high)}"


def points(difference: float) -> str:
    """A difference of shares in points with its sign: `−0.3`."""
    text = f"{100 * difference:+.1f}"
    return "±0.0" if float(text) == 0 else text.replace("-", "−")


def score(value: float | None, metric: str, digits: int = 1) -> str:
    """A headline score or another metric: `98.6 %`, and of R² or an AUC `0.986`."""
    if value is None or not math.isfinite(value):
        return NONE
    return names.shown(value, metric, digits).replace("-", "−")


def score_range(figure: Accuracy | MetricFigures, *, unit: bool = True) -> str:
    """A score's interval: `97.2 to 99.6 %`, `0.912 to 0.951`; raw ones as in `raw`."""
    metric = figure.metric if isinstance(figure, Accuracy) else figure.name
    if isinstance(figure, MetricFigures) and figure.unit == "raw":
        return f"{significant(figure.low)} to {significant(figure.high)}"
    if not names.is_share(metric):
        return f"{score(figure.low, metric)} to {score(figure.high, metric)}"
    return f"{100 * figure.low:.1f} to {100 * figure.high:.1f}{' %' if unit else ''}"


def score_difference(difference: float, metric: str) -> str:
    """A difference of scores with its sign: `−0.3` points, or of R² `−0.012`."""
    if names.is_share(metric):
        return points(difference)
    text = f"{difference:+.3f}"
    return "±0.000" if float(text) == 0 else text.replace("-", "−")


def score_change(difference: float, metric: str) -> str:
    """The same with its unit: `−0.3 points`, `−0.012`."""
    return score_difference(difference, metric) + (" points" if names.is_share(metric) else "")


def metric(figure: MetricFigures) -> str:
    """A metric's value: a share in percent, a number in the targets' units in three digits."""
    return significant(figure.value) if figure.unit == "raw" else score(figure.value, figure.name)


def ratio(value: float, reference: float, less: str, more: str) -> str:
    """How `value` stands to `reference`: `45× fewer`; empty where there is no ratio.

    Args:
        less: the word for a smaller value, such as "fewer" or "faster".
        more: the word for a larger one.
    """
    if value <= 0 or reference <= 0:
        return ""
    factor, word = (reference / value, less) if value < reference else (value / reference, more)
    if factor < 1.005:
        return "same"
    return f"{significant(factor, 2 if factor < 100 else 3)}× {word}"


def short(value: float) -> str:
    """Two significant digits without needless zeros: `0.002`, `1`."""
    return _trim(significant(value, 2))


def _trim(text: str) -> str:
    """Takes decimals off that are all zero, and zeros that end a number."""
    return re.sub(r"(\.\d*[1-9])0+$", r"\1", re.sub(r"\.0+(?= |$)", "", text))


def quantity(value: float | None, unit: str) -> str:
    """A number in its unit (see `BudgetFigures.unit`), short where it is round: `40 kB`."""
    if value is None:
        return NONE
    return _trim(_quantity(value, unit))


def _quantity(value: float, unit: str) -> str:
    if unit == "bytes":
        return size(value)
    if unit == "us":
        return microseconds(value)
    if unit == "fraction":
        return percent(value, 2)
    if unit == "score":
        return significant(value)
    return significant(value) if unit == "raw" else f"{significant(value)} {unit}"


def seed_figure(value: float, name: str) -> str:
    """A figure over seeds, in the unit that its name tells: a score, a size or a latency."""
    metric = next((m for m, t in names.TITLES.items() if name.startswith(f"test {t} of")), None)
    if metric is not None:
        raw = metric in ("mae", "rmse")
        return significant(value) if raw else score(value, metric, 2)
    if "accuracy" in name:
        return percent(value, 2)
    if "size" in name or "bytes" in name:
        return size(value)
    if "latency" in name:
        return microseconds(value)
    return significant(value)
