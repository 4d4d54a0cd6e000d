"""What every device can do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self


class Device(Protocol):
    """A machine that runs the agent. Entering the context connects, leaving it closes."""

    @property
    def name(self) -> str:
        """The profile's name."""
        ...

    @property
    def timed(self) -> bool:
        """Whether times that are measured there are its own: not under emulation."""
        return True

    @property
    def notes(self) -> Sequence[str]:
        """What results from there lack, and what to do about it, a sentence each."""
        return ()

    @property
    def together(self) -> bool:
        """Whether a process there can measure several files, in turns of milliseconds."""
        return True

    @property
    def scored(self) -> bool:
        """Whether jobs give a model's answers there, and not only its times."""
        return True

    def connect(self) -> None:
        """Makes the device ready for jobs.

        Raises:
            StageError: it cannot be reached.
        """
        ...

    def push(self, file: Path) -> str:
        """Brings a file there and returns its path on the device; the same file only once."""
        ...

    def run(self, job: dict[str, Any], timeout: float) -> dict[str, Any]:
        """The result of a job (both as the agent's docstring says; paths as `push` gave them).

        Args:
            timeout: seconds after which the job is ended.

        Raises:
            StageError: the agent reports an error, crashes, or takes too long.
        """
        ...

    def pull(self, name: str, to: Path) -> None:
        """Brings a file here that a job wrote under a bare name, and removes it there.

        Raises:
            StageError: there is no such file.
        """
        ...

    def state(self) -> dict[str, Any]:
        """The machine's facts now: processor, cores, governor, load and so on."""
        ...

    def close(self) -> None:
        """Ends the connection and removes what jobs left."""
        ...

    def __enter__(self) -> Self:
        self.connect()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def closed_on_failure(device: Device) -> Iterator[None]:
    """Closes a device whose connecting is not finished, whatever ends it: Ctrl-C, too."""
    with ExitStack() as undo:
        undo.callback(device.close)
        yield
        undo.pop_all()
