"""Writes the tables of `benchmarks/README.md` from the JSON files in `benchmarks/spine/results`."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import RESULTS, SPINE, Row, read_results, to_markdown

from edgekd.store import write_atomic

BEGIN, END = "<!-- spine:begin -->", "<!-- spine:end -->"
TITLES = {
    "digits": "The digits pipeline",
    "training_speed": "A training epoch against a plain PyTorch loop",
    "wall_time": "How long a user waits",
}
DECIDES = ("avx2", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "neon", "asimddp", "i8mm")
"""Instruction sets that are worth telling: they decide the kernels."""


def main() -> None:
    """Rewrites the section between the marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the JSON files")
    parser.add_argument("--page", type=Path, default=SPINE.parent / "README.md")
    chosen = parser.parse_args()
    results = read_results(chosen.results)
    if not results:
        raise SystemExit(f"There are no results in {chosen.results}: run a benchmark first.")
    page = chosen.page.read_text(encoding="utf-8")
    write_atomic(chosen.page, replaced(page, tables(results), chosen.page))
    print(f"{len(results)} tables in {chosen.page}")


def replaced(page: str, section: str, where: Path) -> str:
    """The page with another section between the marks.

    Raises:
        SystemExit: the page does not have both marks, once and in this order.
    """
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end or BEGIN in rest or END in after:
        raise SystemExit(f"{where} needs one {BEGIN} and after it one {END}.")
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def tables(results: Sequence[dict[str, Any]]) -> str:
    """A heading, the circumstances and a table for each result."""
    return "\n\n".join(section(result) for result in results)


def section(result: dict[str, Any]) -> str:
    """One benchmark's part of the page."""
    name = result["benchmark"]
    parts = [f"### {TITLES.get(name, name)}"]
    if result["quick"]:
        parts.append("**A smoke test with few epochs: these figures say nothing.**")
    parts.append(circumstances(result))
    parts.append(to_markdown([Row(**row) for row in result["rows"]]))
    return "\n\n".join(parts)


def circumstances(result: dict[str, Any]) -> str:
    """Machine, versions, date, runs and command in a few lines."""
    machine, versions = result["machine"], result["versions"]
    has = [name for name in machine["instructions"] if name in DECIDES]
    libraries = [f"{name} {number}" for name, number in versions.items()]
    return "\n".join(
        (
            f"{result['date'][:10]}, {machine['processor']}, {machine['cores']} cores, "
            f"{machine['memory_bytes'] / 1e9:.0f} GB, {machine['system']}"
            + (f" ({', '.join(has)})" if has else "")
            + f". Runs: {result['runs']}. Load of the machine before: {result['load_before']}.\n",
            f"Versions: {', '.join(libraries)}.\n",
            f"    {result['command']}",
        )
    )


if __name__ == "__main__":
    main()
