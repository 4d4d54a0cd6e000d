"""The application: what every command shares, and how errors end."""

from __future__ import annotations

import logging
import sys
import warnings
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from edgekd import workers
from edgekd.errors import EdgekdError, of_system


class _Commands(TyperGroup):
    """Tells Ctrl-C apart from other ends."""

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as interrupt:
            raise EdgekdError(
                "Stopped. Finished stages and the last finished epoch are kept.",
                fix="the same command goes on from there",
            ) from interrupt


app = typer.Typer(
    cls=_Commands,
    name="edgekd",
    no_args_is_help=True,
    add_completion=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
    help="From a data set and a budget to a small int8 network that runs on phones and boards.",
)


DEBUG = "--debug"
"""Accepted anywhere on the command line: errors with their traceback, libraries with their say."""


def main() -> None:
    """The `edgekd` command. Exit codes: 0 done; 1 a stage failed; 2 the pipeline file or the
    arguments are wrong; 3 a budget was missed.
    """
    arguments = [argument for argument in sys.argv[1:] if argument != DEBUG]
    debug = len(arguments) < len(sys.argv) - 1
    if not debug:
        _silence_libraries()
    try:
        if workers.launched():
            workers.together(arguments, lambda: app(arguments))
        else:
            app(arguments)
    except EdgekdError as error:
        if debug:
            raise
        _tell(str(error))
        sys.exit(error.exit_code)
    except Exception as error:
        if debug:
            raise
        known = of_system(error)
        _tell(
            str(known)
            if known
            else f"{type(error).__name__}: {error}\n"
            "  where: this is not an error that edgekd knows\n"
            f"  fix:   run the command again with {DEBUG} to see where it happened"
        )
        sys.exit(1)


def _tell(error: str) -> None:
    """Prints an error, of several processes in the one that it happened in first."""
    if workers.first_to_tell():
        print(f"edgekd: {error}", file=sys.stderr)


def _silence_libraries() -> None:
    """Libraries warn their own developers: of deprecations, of kernels for GPUs that are not here.
    Nothing of that is for the user, and `--debug` shows it.
    """
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)


def _print_version(wanted: bool) -> None:
    if wanted:
        from edgekd.keys import installed_version

        print(f"edgekd {installed_version('edgekd')}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_print_version, is_eager=True, help="Print it and exit."
        ),
    ] = False,
) -> None:
    """From a data set and a budget to a small int8 network that runs on phones and boards."""


def console() -> Any:
    """rich's, without colours of its own for numbers and paths."""
    from rich.console import Console

    return Console(highlight=False)
