"""Commands of released models: into a registry, out of it, and whether files are as signed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgekd.cli.app import app
from edgekd.cli.options import KEY, SIGNER

if TYPE_CHECKING:
    from edgekd.package.verify import Verified


@app.command()
def promote(
    folder: Annotated[Path, typer.Argument(metavar="RUN", help="A run folder, runs/NAME.")],
    to: Annotated[
        str,
        typer.Option("--to", help="The registry: a folder, s3://..., gs://..., mlflow+https://..."),
    ],
    version: Annotated[
        str | None,
        typer.Option("--version", help="MAJOR.MINOR.PATCH; the next patch if left out."),
    ] = None,
    name: Annotated[
        str | None, typer.Option("--name", help="That of its bundles if left out.")
    ] = None,
    sign: KEY = None,
) -> None:
    """Add a run's model to a registry as a version that never changes."""
    from edgekd.pipeline import read_summary
    from edgekd.registry.promote import promote as add
    from edgekd.registry.stores import registry_at

    summary = read_summary(folder)
    made = add(folder, summary, registry_at(to), name=name, version=version, key=sign)
    print(f"{made.name}@{made.version}")


@app.command()
def pull(
    reference: Annotated[str, typer.Argument(metavar="NAME@VERSION", help="Or NAME@latest.")],
    source: Annotated[str, typer.Option("--from", help="The registry.")],
    out: Annotated[
        Path | None, typer.Option("--out", help="Where it goes; NAME-VERSION if left out.")
    ] = None,
    signer: SIGNER = None,
) -> None:
    """Fetch a model of a registry, each file checked, in the form of a run folder."""
    from edgekd.registry.pull import pull as fetch
    from edgekd.registry.stores import registry_at

    made = fetch(reference, registry_at(source), out=out, signer=signer)
    _tell(made.verified)
    print(made.folder)


@app.command()
def verify(
    folder: Annotated[
        Path, typer.Argument(metavar="BUNDLE", help="A folder with a manifest.json.")
    ],
    signer: SIGNER = None,
) -> None:
    """Check that a bundle's files are those of its manifest, and who signed that."""
    from edgekd.package.verify import verify as examine

    _tell(examine(folder, signer))


def _tell(found: Verified) -> None:
    manifest = found.manifest
    print(
        f"{manifest.name} {manifest.version}: {len(manifest.files)} files are as its manifest says"
    )
    print(
        found.signed
        or "Checksums only: no protection against tampering. --signer checks who signed it."
    )
