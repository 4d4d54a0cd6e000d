"""A shell in the arm64 root: every program there runs in QEMU, as one processor."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgekd.config.device import DeviceSettings
from edgekd.devices import arm64_root, counter
from edgekd.errors import StageError

ENTER = """
mount -t proc proc "$1/proc" && mount --bind "$1/cpuinfo-$2" "$1/proc/cpuinfo" &&
mount --rbind /dev "$1/dev" || exit 46
root=$1
shift 2
if setarch -R true 2>/dev/null; then exec setarch -R chroot "$root" "$@"; fi
exec chroot "$root" "$@"
"""
"""Run in mount and process namespaces of its own: what is mounted and started ends with it. Where
the system allows it, addresses are not random: hash tables of addresses change how many
instructions an inference takes."""


class EmulatorShell:
    """Implements `Shell`."""

    def __init__(self, settings: DeviceSettings) -> None:
        self._settings = settings
        self._root = Path()
        self.around: Sequence[str] = ()
        """See `Shell.around`: what counts instructions."""
        self.notes: Sequence[str] = ()

    def open(self) -> None:
        """Without a counter jobs run all the same, and a note says why nothing counts them.

        Raises:
            StageError: the root was not made, or something is missing on this machine.
        """
        name = self._settings.name
        self._root = arm64_root.root_folder()
        if not self._root.is_dir():
            raise StageError(
                "This emulator's arm64 root was not made yet.",
                where=f"{name}: there is no {self._root}",
                fix=f"edgekd devices create {name}",
            )
        arm64_root.require_tools(name)
        try:
            self.around, self.notes = counter.around(self._root, name), ()
        except StageError as error:
            self.around, self.notes = (
                (),
                (f"instructions are not counted: {error.what} {error.fix}",),
            )

    def close(self) -> None:
        """Nothing stays open."""

    def command(self, script: str, arguments: Sequence[str]) -> list[str]:
        """See `Shell.command`."""
        return enter(self._root, self._settings.processor, "sh", "-c", script, "edgekd", *arguments)

    def lost(self, code: int, stderr: str) -> bool:
        """Never: there is no way that could break."""
        del code, stderr
        return False


def enter(root: Path, processor: str, *command: str) -> list[str]:
    """The command that runs another one in the root, as a processor."""
    inside = ["HOME=/root", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LANG=C.UTF-8"]
    alone = ["unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]
    chosen = [*inside, f"QEMU_CPU={processor}"]
    return ["env", "-i", *chosen, *alone, "sh", "-c", ENTER, "sh", str(root), processor, *command]
