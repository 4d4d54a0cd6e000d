"""`python -m edgekd`, which launchers of several processes ask for."""

from edgekd.cli import main

main()
