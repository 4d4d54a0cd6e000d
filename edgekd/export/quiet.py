"""Keeps converters' chatter off the terminal, and what they say when they fail."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator

ERRORS = re.compile(r"^[EF]\d{4} .*$", re.MULTILINE)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Holds back progress, notes and warnings of C++ and Python alike.

    Lines that C++ marks as errors still appear, and all of it does if the body raises what is
    no ordinary failure of a conversion (see `edgekd.export.failure`).
    """
    sys.stdout.flush()
    sys.stderr.flush()
    level = logging.root.manager.disable
    logging.disable(max(level, logging.WARNING))
    saved = [os.dup(1), os.dup(2)]
    with tempfile.TemporaryFile() as held, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        os.dup2(held.fileno(), 1)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            logging.disable(level)
            held.seek(0)
            for line in ERRORS.findall(held.read().decode(errors="replace")):
                print(line, file=sys.stderr)
