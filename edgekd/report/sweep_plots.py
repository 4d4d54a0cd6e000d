"""A sweep's plots: the score against a cost with all trials, what mattered, learning curves."""

from __future__ import annotations

from markupsafe import Markup

from edgekd.report import units
from edgekd.report.plots import best_at_cost, log_axis, score_scale
from edgekd.report.settings import short_names
from edgekd.report.svg import COLOURS, new_figure, style, to_svg
from edgekd.sweep_results import ObjectiveFigures, SweepFigures, TrialFigures
from edgekd.tasks import names

MOST_CURVES = 200
"""More lines are no picture any more; the longest are kept."""


def trade_off(figures: SweepFigures, objective: ObjectiveFigures) -> Markup:
    """Every trial that was measured and trained: its score against one cost. A filled mark was
    trained to its end, a cross was ended early, with the best score until then; diamonds are the
    front, joined where they are best at their cost.
    """
    metric = figures.objectives[0].metric
    factor, sign = score_scale(metric)
    known = [
        (trial, trial.values[objective.name], factor * trial.score)
        for trial in figures.trials
        if trial.score is not None and objective.name in trial.values
    ]
    ended = [(t, x, y) for t, x, y in known if t.state == "finished"]
    stopped = [(t, x, y) for t, x, y in known if t.state != "finished"]
    front = sorted((x, y) for t, x, y in ended if t.front)
    with style():
        figure = new_figure(430, 340)
        axes = figure.subplots()
        _scatter(axes, stopped, "x", "muted", "ended early", 30)
        _scatter(axes, [r for r in ended if not r[0].front], "o", "distill", "trained", 42)
        _scatter(axes, [r for r in ended if r[0].front], "D", "quantize", "on the front", 58)
        best = best_at_cost(front)
        axes.step(*zip(*best, strict=True), where="post", color=COLOURS["quantize"], linewidth=1.3)
        log_axis(axes, [x for _, x, _ in known], objective.metric)
        _from_the_worst_trained(axes, [y for _, _, y in ended], [y for _, _, y in stopped])
        if objective.limit is not None:
            axes.axvline(objective.limit, color=COLOURS["prune"], linewidth=1.2, linestyle="--")
        axes.set_xlabel(_cost_title(objective))
        axes.set_ylabel(f"validation {names.title(metric)}" + (f",{sign}" if sign else ""))
        axes.legend(
            loc="lower left", bbox_to_anchor=(-0.02, 1.0), ncols=3, handletextpad=0.1,
            columnspacing=1.0,
        )  # fmt: skip
        spoken = "; ".join(
            f"{units.quantity(x, objective.metric)} {units.score(y / factor, metric)}"
            for x, y in front
        )
        label = f"{len(known)} trials against {_cost_title(objective)}; the front: {spoken}"
        return to_svg(figure, f"front-{_slug(objective.name)}", label)


def _scatter(axes, rows, marker: str, colour: str, name: str, area: float) -> None:  # noqa: ANN001
    if rows:
        axes.scatter(
            [x for _, x, _ in rows], [y for _, _, y in rows], area, marker=marker,
            color=COLOURS[colour], alpha=0.85, linewidths=1.3, label=f"{name} ({len(rows)})",
        )  # fmt: skip


def _from_the_worst_trained(axes, ended: list[float], stopped: list[float]) -> None:  # noqa: ANN001
    """Trials that ended early lie far below at times: the axis shows those near the others, and
    the rest on its edge would press the front flat.
    """
    if not ended:
        return
    low, high = min(ended), max([*ended, *stopped])
    room = max(high - low, 0.5)
    axes.set_ylim(max(min([*ended, *stopped]), low - room) - 0.08 * room, high + 0.08 * room)


def _cost_title(objective: ObjectiveFigures) -> str:
    if objective.name == "size":
        return "size of the file"
    return f"median {objective.name}"


def importances(figures: SweepFigures) -> Markup | None:
    """By objective, each field's share of the variance as a bar; None where nothing is known."""
    from matplotlib.ticker import FuncFormatter

    known = {name: found for name, found in figures.importance.items() if found}
    if not known:
        return None
    fields = list(figures.trials[0].setting)
    titles = short_names(fields)
    total = {field: sum(found.get(field, 0.0) for found in known.values()) for field in fields}
    order = sorted(fields, key=lambda field: total[field])
    with style():
        figure = new_figure(150 + 240 * len(known), 80 + 30 * len(fields))
        every = figure.subplots(1, len(known), squeeze=False, sharey=True)[0]
        for axes, (name, found) in zip(every, known.items(), strict=True):
            values = [100 * found.get(field, 0.0) for field in order]
            colour = COLOURS["distill" if name == figures.objectives[0].name else "prune"]
            axes.barh(range(len(order)), values, color=colour, height=0.62)
            for place, value in enumerate(values):
                axes.annotate(
                    f"{value:.0f} %", (value, place), (4, 0), textcoords="offset points",
                    va="center", color=COLOURS["muted"], fontsize=10,
                )  # fmt: skip
            axes.set_yticks(range(len(order)), [titles[field] for field in order])
            axes.grid(axis="y", visible=False)
            axes.set_xlim(0, 115)
            axes.set_xticks([0, 50, 100])
            axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
            axes.set_title(name)
        spoken = "; ".join(
            f"{name}: " + ", ".join(f"{titles[f]} {100 * v:.0f} %" for f, v in found.items())
            for name, found in known.items()
        )
        return to_svg(figure, "importance", f"Importance of the fields. {spoken}")


def curves(figures: SweepFigures) -> Markup | None:
    """The score on validation over the share of the epochs: a line a trial, those that were ended
    early grey with a cross at their end. None where nothing was trained.
    """
    from matplotlib.ticker import FuncFormatter

    metric = figures.objectives[0].metric
    factor, sign = score_scale(metric)
    known = sorted((t for t in figures.trials if t.curve), key=lambda t: (t.front, len(t.curve)))
    if not known:
        return None
    with style():
        figure = new_figure(640, 330)
        axes = figure.subplots()
        for trial in known[-MOST_CURVES:]:
            _curve(axes, trial, factor)
        axes.set_xlim(0, 103)
        axes.set_xlabel("share of the first training's epochs")
        axes.set_ylabel(f"validation {names.title(metric)}")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g} %"))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}{sign}"))
        ends = [factor * t.curve[-1] for t in known if t.state == "finished"]
        low = min([factor * min(t.curve[len(t.curve) // 4 :]) for t in known] + ends)
        high = max(factor * max(t.curve) for t in known)
        axes.set_ylim(low - 0.05 * max(1e-3, high - low), high + 0.05 * max(1e-3, high - low))
        stopped = sum(t.state == "stopped" for t in known)
        label = f"{len(known)} trainings, {stopped} of them ended early"
        return to_svg(figure, "curves", label)


def _curve(axes, trial: TrialFigures, factor: float) -> None:  # noqa: ANN001
    x = [100 * (k + 1) / max(1, trial.epochs) for k in range(len(trial.curve))]
    y = [factor * score for score in trial.curve]
    colour = "quantize" if trial.front else "distill" if trial.state == "finished" else "muted"
    axes.plot(
        x, y, color=COLOURS[colour], linewidth=1.8 if trial.front else 1.0,
        alpha=1.0 if trial.front else 0.55, marker="o" if len(x) == 1 else "", markersize=3,
    )  # fmt: skip
    if trial.state != "finished":
        axes.plot(x[-1], y[-1], "x", color=COLOURS["muted"], markersize=6, markeredgewidth=1.4)


def _slug(text: str) -> str:
    return "".join(letter if letter.isascii() and letter.isalnum() else "-" for letter in text)
