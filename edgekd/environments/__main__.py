"""Makes the environments ahead: `python -m edgekd.environments [NAME ...]`."""

from __future__ import annotations

import sys

from edgekd.environments import ENVIRONMENTS, environment
from edgekd.environments.web import WEB, web_runtimes
from edgekd.errors import EdgekdError


def main(names: list[str]) -> int:
    """Makes those that are named, or all, and prints the Python of each, or the folder of the files
    for browsers.
    """
    known = (*ENVIRONMENTS, WEB)
    unknown = sorted(set(names) - set(known))
    if unknown:
        print(f"There is no environment {unknown[0]}: {', '.join(known)}.", file=sys.stderr)
        return 2
    for name in names or known:
        try:
            print(web_runtimes() if name == WEB else environment(name))
        except EdgekdError as error:
            print(error, file=sys.stderr)
            return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
