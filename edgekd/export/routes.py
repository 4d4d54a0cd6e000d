"""Which of the two ways to TFLite a file takes, and what is said when it is not the first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

from edgekd.errors import EdgekdError, StageError

if TYPE_CHECKING:
    from edgekd.config.stages import ExportSettings

Route = Literal["litert", "onnx2tf"]
LIBRARY: dict[str, str] = {"litert": "litert-torch", "onnx2tf": "onnx2tf"}
LEAST_SCORE_LOST = 0.01
"""What onnx2tf's int8 file, quantized anew, may lose on validation against edgekd's own."""
T = TypeVar("T")


@dataclass(frozen=True)
class Taken:
    """The route that a file took."""

    route: Route
    warning: str = ""
    """Why it is not the first one."""


def routes(settings: ExportSettings, *, trained_int8: bool) -> tuple[Route, ...]:
    """The routes to try, in their order.

    Args:
        trained_int8: whether the file's quantization was trained, which onnx2tf cannot carry.
    """
    if settings.route == "litert" or (settings.route == "auto" and trained_int8):
        return ("litert",)
    return ("onnx2tf",) if settings.route == "onnx2tf" else ("litert", "onnx2tf")


def first_that_works(
    wanted: tuple[Route, ...], attempt: Callable[[Route], T], file: str
) -> tuple[T, Taken]:
    """What `attempt` gives for the first route for which it does not fail.

    Args:
        attempt: writes the file by a route and passes it through the parity gate.
        file: names it in the warning.

    Raises:
        StageError: no route works; it tells what each said.
    """
    failed: list[tuple[Route, EdgekdError]] = []
    for route in wanted:
        try:
            made = attempt(route)
        except EdgekdError as error:
            failed.append((route, error))
            continue
        if not failed:
            return made, Taken(route)
        before, reason = failed[0]
        detail = f" ({reason.where})" if reason.where else ""
        return made, Taken(
            route,
            f"{file} was made by {LIBRARY[route]}, because {LIBRARY[before]} failed: "
            f"{reason.what}{detail}",
        )
    if len(failed) == 1:
        raise failed[0][1]
    raise StageError(
        "Neither route to TFLite works for this network.",
        where="; ".join(f"{LIBRARY[route]}: {e.what} {e.where}".strip() for route, e in failed),
        fix="replace the operator in the network, or leave tflite out of export.formats",
    ) from failed[-1][1]
