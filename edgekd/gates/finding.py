"""What came out of one rule."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from edgekd.config.gate import Unverified

Outcome = Literal["kept", "failed", "unverified"]


@dataclass(frozen=True)
class Finding:
    """The verdict on one rule."""

    group: Literal["budget", "regression"]
    rule: str
    """Such as "size" or "latency p50 on local, 1 thread"."""
    outcome: Outcome
    fails: bool
    """Whether the check fails by it: it is failed, or it is unverified and must not be."""
    found: str
    """What was found, with its interval where it has one: "98.6 % (96.8 to 99.4 %)"."""
    limit: str
    """What it was held against: "≥ 97 %"."""
    note: str = ""
    """Why it is unverified, or how it was compared."""


def verdict(low: float, high: float, most: float) -> Outcome:
    """Of an interval against an upper limit: it lies within, beyond, or on both sides."""
    if high <= most + 1e-12:
        return "kept"
    return "failed" if low > most + 1e-12 else "unverified"


def fails(outcome: Outcome, unverified: Unverified) -> bool:
    """Whether the check fails by a rule with this outcome."""
    return outcome == "failed" or (outcome == "unverified" and unverified == "fail")
