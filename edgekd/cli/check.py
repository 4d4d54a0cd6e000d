"""The command that checks a run against its budget, or a file against its golden samples."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgekd.cli.app import app

BAD = "The options do not go with what is to be checked."


@app.command()
def check(
    what: Annotated[
        Path,
        typer.Argument(metavar="RUN|FILE", help="A run folder, or a file that edgekd exported."),
    ],
    budget: Annotated[
        Path | None,
        typer.Option("--budget", metavar="FILE", help="Limits as YAML; the run's own if left out."),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option("--baseline", metavar="RUN", help="A released run, to be no worse than."),
    ] = None,
    junit: Annotated[
        Path | None, typer.Option("--junit", metavar="FILE", help="The verdicts as JUnit XML.")
    ] = None,
    markdown: Annotated[
        Path | None,
        typer.Option("--markdown", metavar="FILE", help="The verdicts for a pull request."),
    ] = None,
    golden: Annotated[
        Path | None,
        typer.Option("--golden", help="Of a file: golden.json; the one beside it if left out."),
    ] = None,
) -> None:
    """Check a run's budget, and that it is no worse than a released one: exit code 3 if not.

    Of a single file: run it on its golden samples and compare with what it gave when exported.
    """
    if what.is_file() or what.suffix.lower() in (".onnx", ".ort", ".tflite"):
        _refuse(what, {"--budget": budget, "--baseline": baseline}, "a run folder")
        _refuse(what, {"--junit": junit, "--markdown": markdown}, "a run folder")
        _check_file(what, golden)
        return
    _refuse(what, {"--golden": golden}, "a file, such as RUN/export-KEY/student-int8.tflite")
    from edgekd.gates import told
    from edgekd.gates.check import check_run, missed
    from edgekd.pipeline import read_summary

    summary = read_summary(what)
    released = None if baseline is None else (baseline, read_summary(baseline))
    found = check_run(what, summary, budget=budget, baseline=released)
    for line in (*told.plain(found), told.headline(found)):
        print(line)
    if junit is not None:
        told.write(junit, told.junit(found, summary.pipeline))
    if markdown is not None:
        told.write(markdown, told.markdown(found, summary.pipeline))
    error = missed(found, what)
    if error is not None:
        raise error


def _refuse(what: Path, options: dict[str, Path | None], needed: str) -> None:
    """Options that are of the other kind of check."""
    from edgekd.errors import ConfigError

    for option, value in options.items():
        if value is not None:
            raise ConfigError(BAD, where=f"{what}; {option}", fix=f"{option} goes with {needed}")


def _check_file(model: Path, golden: Path | None) -> None:
    from edgekd.runtimes.golden import check_golden

    found = check_golden(model, golden)
    print(
        f"{found.file}: {found.samples} samples as exported; the largest difference is "
        f"{found.largest:.4g}, and {found.tolerance:.4g} is allowed"
    )
    if not found.same_bytes:
        print("note: its bytes are not those of the file that was exported")
