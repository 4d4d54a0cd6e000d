"""A budget in a line: "40 kB, 2 ms, -1 %"."""

from __future__ import annotations

import re
from typing import Any

from edgekd.config.budget import BudgetSettings
from edgekd.config.load import validate
from edgekd.config.quantities import BYTES, FRACTION, MICROSECONDS
from edgekd.errors import ConfigError

EXAMPLE = '--budget "40 kB, 2 ms, -1 %"'
_TERM = re.compile(
    r"(?P<word>[a-z0-9]+\s+)?(?P<sign>[-−]\s*)?"
    r"(?P<number>[0-9]+(?:\.[0-9]+)?)\s*(?P<unit>[^\s0-9]+)"
    r"(?:\s+on\s+(?P<device>\S+))?(?:\s+(?P<threads>[0-9]+|all)\s+threads?)?"
)


def parse_budget(text: str) -> BudgetSettings:
    """The limits that `text` names, separated by commas.

    A size is `40 kB`; a time `2 ms` (the median), `p90 3 ms`, `2 ms on DEVICE`, `2 ms 4 threads`;
    `-1 %` is the most that may be lost of the teacher's accuracy, `accuracy 97 %` the least that
    is wanted. There must be a size or a time.

    Raises:
        ConfigError: a part is none of these, or is there twice.
    """
    raw: dict[str, Any] = {}
    latency: list[dict[str, Any]] = []
    for part in text.split(","):
        match = _TERM.fullmatch(part.strip())
        if match is None:
            raise _wrong(part, "is no limit")
        unit, word = match["unit"], (match["word"] or "").strip()
        amount = f"{match['number']} {unit}"
        if unit in MICROSECONDS:
            latency.append(_time(match, word, amount, part))
            continue
        if match["device"] or match["threads"]:
            raise _wrong(part, "only a time has a device and threads")
        if unit in BYTES and not word and not match["sign"]:
            field = "size"
        elif unit in FRACTION:
            field = _share(match, word, part)
        else:
            raise _wrong(part, f"{unit} is no unit" if unit not in BYTES else "is no limit")
        if field in raw:
            raise _wrong(part, "this limit is there twice")
        raw[field] = amount
    if latency:
        raw["latency"] = latency
    budget = validate(BudgetSettings, raw)
    if budget.size is None and not budget.latency:
        raise ConfigError(
            "The budget has neither a size nor a time, so every network would fit.",
            where=f"--budget {text!r}",
            fix=EXAMPLE,
        )
    return budget


def _time(match: re.Match[str], word: str, amount: str, part: str) -> dict[str, Any]:
    if match["sign"] or word not in ("", "p50", "p90"):
        raise _wrong(part, "a time is written 2 ms, p50 2 ms or p90 3 ms")
    limit: dict[str, Any] = {word or "p50": amount}
    if match["device"]:
        limit["device"] = match["device"]
    if match["threads"]:
        limit["threads"] = "all" if match["threads"] == "all" else int(match["threads"])
    return limit


def _share(match: re.Match[str], word: str, part: str) -> str:
    if match["sign"] and not word:
        return "accuracy_drop"
    if word == "accuracy" and not match["sign"]:
        return "accuracy"
    raise _wrong(part, "a share is -1 % (lost at most) or accuracy 97 % (wanted at least)")


def _wrong(part: str, why: str) -> ConfigError:
    return ConfigError(
        f"The budget's part {part.strip()!r} is not understood: {why}.",
        where="--budget",
        fix=f"{EXAMPLE}; sizes in B, kB, MB, KiB, MiB, times in us, ms, s",
    )


def budget_fields(budget: BudgetSettings) -> dict[str, Any]:
    """The budget as fields of a pipeline file, in base units, defaults left out."""
    return budget.model_dump(mode="json", exclude_defaults=True)
