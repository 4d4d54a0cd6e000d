"""Turns a converter's exception into an error that names the operator."""

from __future__ import annotations

import re

from edgekd.errors import StageError

OPERATOR = re.compile(
    r"\b(?:aten|prims|torchvision|torchao)(?:\.|::)_?[a-z]\w*(?:\.\w+)?"  # as torch names it
    r"|(?<=')(?:stablehlo|chlo|tfl|tf)\.\w+(?=' op)"  # as LiteRT's compiler does
)


def conversion_error(error: BaseException, target: str) -> StageError:
    """A StageError for a failed conversion to `target` (such as "ONNX"), naming its operator."""
    text = "\n".join(_messages(error))
    found = OPERATOR.search(text)
    wanted = found[0] if found else ""
    lines = [line.strip() for line in text.splitlines() if line.strip() and wanted in line]
    first_line = lines[0] if lines else type(error).__name__
    if found:
        return StageError(
            f"The network uses an operator that {target} cannot express: {found[0]}.",
            where=first_line,
            fix="replace it in the network, or leave this format out of export.formats",
        )
    return StageError(
        f"The network cannot be converted to {target}.",
        where=first_line,
        fix="see the error that this one was raised from (edgekd --debug shows it)",
    )


def _messages(error: BaseException | None) -> list[str]:
    """The texts of an exception and its causes, the innermost first."""
    messages: list[str] = []
    while error is not None:
        messages.insert(0, str(error))
        error = error.__cause__ or error.__context__
    return messages
