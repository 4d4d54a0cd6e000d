"""The command line: parse, call, print. No logic.

A module a group of commands, in the order of `edgekd --help`; each imports what it calls when it is
called.
"""

# isort: off
from edgekd.cli import runs, sweep, data, bench, models, package, check, registry, devices, about
from edgekd.cli.app import DEBUG, app, main

__all__ = [
    "DEBUG",
    "about",
    "app",
    "bench",
    "check",
    "data",
    "devices",
    "main",
    "models",
    "package",
    "registry",
    "runs",
    "sweep",
]
