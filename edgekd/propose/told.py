"""What is said of candidates: a line each, rows for a file, the nearest where none fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgekd.propose.fitting import Outcome
from edgekd.propose.measure import Measured

FILE = "candidates.json"
"""Every figure of the candidates, and why each is in or out."""


def candidate_line(outcome: Outcome) -> str:
    """Its figures and whether it fits."""
    found = outcome.measured
    verdict = "fits" if outcome.fits else f"out: {'; '.join(outcome.reasons)}"
    if found is None:
        return f"  {outcome.candidate.label:32} {verdict}"
    return (
        f"  {outcome.candidate.label:32} {found.bytes / 1000:8.1f} kB {found.p50 / 1000:8.3f} ms "
        f"{found.macs / 1e6:8.2f} M MACs  {verdict}"
    )


def nearest(outcomes: Sequence[Outcome]) -> str:
    """The smallest and the fastest file; "" where none could be written."""
    measured = [outcome.measured for outcome in outcomes if outcome.measured is not None]
    if not measured:
        return ""
    smallest = min(measured, key=lambda m: m.bytes)
    fastest = min(measured, key=lambda m: m.p50)
    return f"the smallest file is {_shown(smallest)}; the fastest {_shown(fastest)}"


def candidate_rows(outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Each candidate with its figures, for `FILE`."""
    rows: list[dict[str, Any]] = []
    for outcome in outcomes:
        found = outcome.measured
        row: dict[str, Any] = {
            "candidate": outcome.candidate.label,
            "family": outcome.candidate.family,
            "size": outcome.candidate.size,
            "fits": outcome.fits,
            "reasons": list(outcome.reasons),
        }
        if found is not None:
            row |= {
                "bytes": found.bytes,
                "p50_us": found.p50,
                "parameters": found.parameters,
                "macs": found.macs,
            }
        rows.append(row)
    return rows


def _shown(measured: Measured) -> str:
    size, time = measured.bytes / 1000, measured.p50 / 1000
    return f"{measured.candidate.label} with {size:.1f} kB and {time:.3f} ms"
