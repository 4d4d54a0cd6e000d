"""Keeps converters' chatter off the terminal, and what they say when they fail."""

from __future__ import annotations

import contextlib
import io
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

    What the body raises passes through; lines that C++ marks as errors appear if it succeeds.
    """
    sys.stdout.flush()
    sys.stderr.flush()
    level = logging.root.manager.disable
    logging.disable(max(level, logging.WARNING))
    saved = [os.dup(1), os.dup(2)]
    written = io.StringIO()
    with (
        tempfile.TemporaryFile() as held,
        warnings.catch_warnings(),
        contextlib.redirect_stdout(written),
        contextlib.redirect_stderr(written),
    ):
        warnings.simplefilter("ignore")
        os.dup2(held.fileno(), 1)
        os.dup2(held.fileno(), 2)
        try:
            yield
        finally:
            for number, copy in zip((1, 2), saved, strict=True):
                os.dup2(copy, number)
                os.close(copy)
            logging.disable(level)
            held.seek(0)
            said = held.read().decode(errors="replace")
    for line in ERRORS.findall(said):
        print(line, file=sys.stderr)
