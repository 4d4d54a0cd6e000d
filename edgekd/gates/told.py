"""The verdicts for those who read them: a terminal, a pull request, a build server."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from edgekd.errors import ConfigError
from edgekd.gates.finding import Finding
from edgekd.store import write_atomic

NO_XML = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 has no place for, not even escaped."""


def plain(found: Sequence[Finding]) -> list[str]:
    """A line a rule, with its note below it."""
    lines = []
    for f in found:
        against = "" if f.group == "budget" else " against the baseline"
        end = {True: ", fails the check", False: ", passes"}[f.fails] * (f.outcome == "unverified")
        lines.append(f"{f.outcome:11} {f.rule}{against}: {f.found} ({f.limit}){end}")
        if f.note:
            lines.append(f"{'':11} {f.note}")
    return lines


def headline(found: Sequence[Finding]) -> str:
    """The whole in a sentence."""
    bad = sum(f.fails for f in found)
    unsure = sum(f.outcome == "unverified" and not f.fails for f in found)
    rules = f"{len(found)} rule{'' if len(found) == 1 else 's'}"
    if bad:
        return f"{bad} of {rules} {'fails' if bad == 1 else 'fail'} the check"
    return f"{rules}, none fails" + (f"; {unsure} unverified" if unsure else "")


def markdown(found: Sequence[Finding], name: str) -> str:
    """A summary for a pull request."""
    rows = [f"### edgekd check: {_cell(name)}", "", f"**{headline(found)}.**", ""]
    rows += ["| | rule | found | limit | |", "| --- | --- | --- | --- | --- |"]
    for f in found:
        outcome = f"**{f.outcome}**" if f.fails else f.outcome
        rule = f.rule if f.group == "budget" else f"{f.rule}, against the baseline"
        rows.append(f"| {outcome} | {' | '.join(map(_cell, (rule, f.found, f.limit, f.note)))} |")
    return "\n".join(rows) + "\n"


def _cell(text: str) -> str:
    """Text that stays in its cell and is no markup."""
    plain = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]<>|])", r"\\\1", plain)


def junit(found: Sequence[Finding], name: str) -> bytes:
    """JUnit XML: a test case a rule. What fails the check is a failure, what is unverified and
    passes is skipped."""
    failures = str(sum(f.fails for f in found))
    skipped = str(sum(f.outcome == "unverified" and not f.fails for f in found))
    counts = {"tests": str(len(found)), "failures": failures, "errors": "0"}
    suites = Element("testsuites", {"name": "edgekd check", **counts})
    suite = SubElement(suites, "testsuite", {"name": _text(name), **counts, "skipped": skipped})
    for f in found:
        case = SubElement(
            suite, "testcase", {"classname": f"edgekd.{f.group}", "name": _text(f.rule)}
        )
        message = _text(f"{f.outcome}: {f.found}, {f.limit}" + f". {f.note}" * bool(f.note))
        if f.fails:
            SubElement(case, "failure", {"type": f.outcome, "message": message}).text = message
        elif f.outcome == "unverified":
            SubElement(case, "skipped", {"message": message})
        else:
            SubElement(case, "system-out").text = message
    indent(suites)
    return tostring(suites, encoding="utf-8", xml_declaration=True)


def write(path: Path, content: str | bytes) -> None:
    """Writes a file whole, and its folder if there is none.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, content)
    except OSError as error:
        raise ConfigError(
            "The verdicts cannot be written.", where=f"{path}: {error.strerror}"
        ) from error


def _text(text: str) -> str:
    return NO_XML.sub("?", text)
