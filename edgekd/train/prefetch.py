"""Work that is done ahead, in a thread, while the caller uses what is finished."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")
POLL = 0.1
"""Seconds after which a thread that waits for room looks whether anybody still wants its work."""


@dataclass(frozen=True)
class _Ended:
    """The last thing that a thread sends."""

    error: BaseException | None = None


def prefetched(items: Iterable[T], ahead: int = 2) -> Generator[T, None, None]:
    """The items in their order, up to `ahead` of them made while earlier ones are used.

    They are made by one thread, one after the other, so that they are the same as without. An
    error in making one is raised where it would have come. Closing the generator ends the thread.
    """
    finished: queue.Queue[T | _Ended] = queue.Queue(ahead)
    unwanted = threading.Event()

    def put(item: T | _Ended) -> bool:
        while not unwanted.is_set():
            try:
                finished.put(item, timeout=POLL)
                return True
            except queue.Full:
                continue
        return False

    def work() -> None:
        try:
            for item in items:
                if not put(item):
                    return
            put(_Ended())
        except BaseException as error:
            put(_Ended(error))

    thread = threading.Thread(target=work, name="edgekd-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            item = finished.get()
            if not isinstance(item, _Ended):
                yield item
            elif item.error is not None:
                raise item.error
            else:
                return
    finally:
        unwanted.set()
        thread.join()
