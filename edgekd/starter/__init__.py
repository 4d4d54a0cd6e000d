"""`edgekd init`: a commented pipeline file to start from."""

from edgekd.starter.write import write_starter

__all__ = ["write_starter"]
