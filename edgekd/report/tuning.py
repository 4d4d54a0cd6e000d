"""What the search for temperature and weight tried: a table, a plot, and what to paste."""

from __future__ import annotations

from dataclasses import dataclass

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.results import Summary, TuningFigures
from edgekd.tasks import names

LINES = [COLOURS[name] for name in ("distill", "prune", "quantize", "teacher", "finetune", "muted")]
MARKERS = ("o", "s", "D", "^", "v", "P")


@dataclass(frozen=True)
class TuningSection:
    """What the template shows."""

    rows: list[TuningFigures]
    """The longest trials first, in each round the best first."""
    chosen: TuningFigures
    plot: Markup
    trials: int
    epochs: int
    """Of all trials together."""
    temperature: bool
    weight: bool


def tuning_section(summary: Summary) -> TuningSection | None:
    """None in a run that searched nothing."""
    rows = sorted(summary.tuning, key=lambda row: (-row.round, -row.score, row.loss))
    chosen = next((row for row in rows if row.chosen), None)
    if chosen is None:
        return None
    return TuningSection(
        rows=rows,
        chosen=chosen,
        plot=_plot(rows, chosen),
        trials=len(rows),
        epochs=sum(row.epochs for row in rows),
        temperature=chosen.temperature is not None,
        weight=chosen.weight is not None,
    )


def sentence(section: TuningSection) -> str:
    """Such as "temperature 2, weight 0.9"."""
    chosen = section.chosen
    found = (("temperature", chosen.temperature), ("weight", chosen.weight))
    return ", ".join(f"{name} {value:g}" for name, value in found if value is not None)


def _plot(rows: list[TuningFigures], chosen: TuningFigures) -> Markup:
    """A small plot a round: the score against the temperature, a line a weight; or the weight."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    rounds = sorted({row.round for row in rows})
    by_temperature = chosen.temperature is not None
    factor = 100.0 if names.is_share(chosen.metric) else 1.0
    sign = " %" if factor == 100 else ""
    weights = sorted({row.weight for row in rows if row.weight is not None})
    with style():
        figure = new_figure(80 + 250 * len(rounds), 290)
        every = figure.subplots(1, len(rounds), squeeze=False)[0]
        for axes, number in zip(every, rounds, strict=True):
            here = [row for row in rows if row.round == number]
            groups = weights if by_temperature and weights else [None]
            for place, weight in enumerate(groups):
                line = [row for row in here if weight is None or row.weight == weight]
                points = sorted((_place(row), factor * row.score) for row in line)
                if not points:
                    continue
                x, y = zip(*points, strict=True)
                axes.plot(
                    x, y, marker=MARKERS[place % 6], color=LINES[place % 6], markersize=6,
                    linewidth=1.3, label=None if weight is None else f"weight {weight:g}",
                )  # fmt: skip
            if chosen in here:
                axes.scatter(
                    _place(chosen), factor * chosen.score, 190, facecolors="none",
                    edgecolors=COLOURS["ink"], linewidths=1.6, zorder=4,
                )  # fmt: skip
            axes.set_xscale("log", base=2)
            marks = sorted({_place(row) for row in rows})
            axes.set_xticks(marks, [f"{mark:g}" for mark in marks])
            axes.minorticks_off()
            axes.set_xlim(marks[0] / 1.3, marks[-1] * 1.3)
            axes.set_xlabel("temperature" if by_temperature else "weight")
            each = f"{here[0].epochs} epoch{'s' if here[0].epochs > 1 else ''}"
            axes.set_title(f"{len(here)} trials of {each}")
            low, high = axes.get_ylim()
            room = max(0.0, 0.02 * factor - (high - low)) / 2  # a range of 2 points at least
            axes.set_ylim(low - room, high + room)
            axes.yaxis.set_major_locator(MaxNLocator(4))
            axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{sign}"))
        every[0].set_ylabel(f"validation {names.title(chosen.metric)}")
        if by_temperature and weights:
            handles, labels = every[0].get_legend_handles_labels()
            figure.legend(handles, labels, loc="outside lower center", ncols=len(weights))
        text = (
            f"{len(rows)} short trainings in {len(rounds)} rounds; the one taken has a validation "
            f"{names.title(chosen.metric)} of {units.score(chosen.score, chosen.metric)}"
        )
        return to_svg(figure, "tuning", text)


def _place(row: TuningFigures) -> float:
    value = row.temperature if row.temperature is not None else row.weight
    return 1.0 if value is None else value
