"""What `edgekd quantize` prints."""

from __future__ import annotations

from edgekd.bench.table import size
from edgekd.given.quantize import Quantized
from edgekd.results import Accuracy
from edgekd.tasks.names import is_share, title

KERNELS = 6
"""Types of float operators that are named."""


def rows(found: Quantized) -> list[tuple[str, ...]]:
    """The header, the file as given, and the int8 file."""
    metric = title(found.before.metric)
    return [
        ("file", "size", f"{metric} on test"),
        ("as given", size(found.bytes_before), _score(found.before)),
        (found.file.name, size(found.bytes_after), _score(found.after)),
    ]


def notes(found: Quantized) -> list[str]:
    """What else there is to know, a line each."""
    lines = [f"{found.samples} training samples calibrated it, by {found.calibration}"]
    if len(found.tried) > 1:
        scores = (f"{each.calibration} {_short(each.validation)}" for each in found.tried)
        lines[0] += f": the best on validation of {', '.join(scores)}"
    if found.agreement is not None:
        lines.append(f"both answer alike on {found.agreement:.2%} of {found.before.n} test samples")
    kernels = sorted(found.stayed_float.items(), key=lambda each: -each[1])
    named = ", ".join(f"{count} {name}" for name, count in kernels[:KERNELS])
    more = "" if len(kernels) <= KERNELS else f" and {len(kernels) - KERNELS} more kinds"
    lines.append(f"computed in float by ONNX Runtime: {named + more or 'nothing'}")
    return lines


def _short(score: Accuracy) -> str:
    return f"{score.value:.1%}" if is_share(score.metric) else f"{score.value:.3f}"


def _score(score: Accuracy) -> str:
    if not is_share(score.metric):
        return f"{score.value:.3f} [{score.low:.3f}, {score.high:.3f}]"
    return f"{score.value:.2%} [{100 * score.low:.1f}, {100 * score.high:.1f}]"
