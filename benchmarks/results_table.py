"""Writes the tables of `benchmarks/README.md` from the JSON files in `benchmarks/*/results`.

Each folder of benchmarks has its own section of the page, between `<!-- FOLDER:begin -->` and
`<!-- FOLDER:end -->`.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import BENCHMARKS, Row, read_results, to_markdown
from edgekd.store import write_atomic

DECIDES = ("avx2", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "neon", "asimddp", "i8mm")
"""Instruction sets that are worth telling: they decide the kernels."""


def main() -> None:
    """Rewrites the sections between the marks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--benchmarks", type=Path, default=BENCHMARKS, help="holds */results/*.json"
    )
    parser.add_argument("--page", type=Path, default=BENCHMARKS / "README.md")
    chosen = parser.parse_args()
    folders = {
        found.parent.name: read_results(found) for found in chosen.benchmarks.glob("*/results")
    }
    folders = {name: results for name, results in sorted(folders.items()) if results}
    if not folders:
        raise SystemExit(f"There are no results in {chosen.benchmarks}: run a benchmark first.")
    page = chosen.page.read_text(encoding="utf-8")
    for name, results in folders.items():
        page = replaced(page, name, tables(results), chosen.page)
    write_atomic(chosen.page, page)
    print(f"{sum(map(len, folders.values()))} tables in {chosen.page}")


def replaced(page: str, name: str, section: str, where: Path) -> str:
    """The page with another section between the marks of a folder.

    Raises:
        SystemExit: the page does not have both marks, once and in this order.
    """
    first, last = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    before, begin, rest = page.partition(first)
    _, end, after = rest.partition(last)
    if not begin or not end or first in rest or last in after:
        raise SystemExit(f"{where} needs one {first} and after it one {last}.")
    return f"{before}{first}\n{section}\n{last}{after}"


def tables(results: Sequence[dict[str, Any]]) -> str:
    """A heading, the circumstances and a table for each result."""
    return "\n\n".join(section(result) for result in results)


def section(result: dict[str, Any]) -> str:
    """One benchmark's part of the page."""
    parts = [f"### {result['title']}"]
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
