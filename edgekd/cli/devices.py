"""Commands about devices: which there are, whether one works, a shell on it."""

from __future__ import annotations

from typing import Annotated

import typer

from edgekd.cli.app import app, console

devices = typer.Typer(
    no_args_is_help=True, rich_markup_mode=None, help="List, check and make devices."
)
app.add_typer(devices, name="devices")

NAME = Annotated[str, typer.Argument(help="A profile's name, or the path of its file.")]


@devices.command("list")
def list_() -> None:
    """The device profiles: those in the folder devices here, and those that come with edgekd."""
    from edgekd.devices.check import profiles
    from edgekd.report.terminal import text_table

    console().print(text_table(profiles(), prose=2))


@devices.command()
def check(name: NAME) -> None:
    """Reach a device, make it ready for jobs, and say what it is."""
    from edgekd.config.load import load_device
    from edgekd.devices.check import examine

    settings = load_device(name)
    rows = examine(settings)
    print(settings.name)
    for label, text in rows:
        print(f"  {label:<15}{text}")


@devices.command()
def create(name: NAME) -> None:
    """Make an emulator: an arm64 Debian with the runtimes, once for all of them. Needs root."""
    from edgekd.config.load import load_device
    from edgekd.devices.check import create as make

    print(make(load_device(name), print))


@devices.command()
def shell(name: NAME) -> None:
    """Open a shell on a device."""
    import subprocess

    from edgekd.config.load import load_device
    from edgekd.devices.check import shell_command

    raise typer.Exit(subprocess.call(shell_command(load_device(name))))
