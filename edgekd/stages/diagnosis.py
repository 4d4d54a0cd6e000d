"""What each layer of an int8 network loses: in a run, and of an artefact at hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.errors import ConfigError, DataError
from edgekd.results import LayerFigures
from edgekd.stages.networks import saved_network
from edgekd.store import MANIFEST, read_json

if TYPE_CHECKING:
    from edgekd.compress.diagnose import Diagnosis
    from edgekd.compress.prepared import Prepared
    from edgekd.spec import ModelSpec

RECIPE = "quantized.json"
"""Tells the artefact of a quantize stage."""
OPERATIONS = 1.5e10
"""Multiply-accumulates that the diagnosis in a run may take: a few seconds of one core."""
MOST, LEAST = 256, 8
"""Samples of a diagnosis in a run."""
BATCH = 32


def of_samples(prepared: Prepared, x: Any) -> Diagnosis:
    """The diagnosis by all samples, normalised (N, *shape) or by name."""
    from edgekd import inputs
    from edgekd.compress.diagnose import diagnose

    return diagnose(prepared, (inputs.tensors(part) for part in inputs.split(x, BATCH)))


def affordable(prepared: Prepared, macs: int) -> int:
    """How many samples take a few seconds: each costs half a run a layer, and two whole ones."""
    from edgekd.compress.diagnose import layers_of

    one = max(1, macs) * (2 + len(layers_of(prepared)) / 2)
    return round(min(MOST, max(LEAST, OPERATIONS / one)))


def figures_of(found: Diagnosis, seed: int, keep: Sequence[str] = ()) -> list[LayerFigures]:
    """The layers as figures of a run; `keep` stay float."""
    return [
        LayerFigures(
            seed=seed,
            name=layer.name,
            operator=layer.operator,
            sqnr_db=layer.sqnr_db,
            cosine=layer.cosine,
            share=layer.share,
            samples=found.samples,
            kept=tuple(keep),
        )
        for layer in found.layers
    ]


def diagnose_folder(model: Path, data: Path | None = None, samples: int = MOST) -> Diagnosis:
    """Diagnoses what a quantize stage left.

    Args:
        model: its artefact, such as runs/NAME/quantize-KEY, or a run folder that has one.
        data: an .npz file of raw samples `x` (or `x_test`), or a table; the run's own validation
            samples if left out.
        samples: so many of them at most.

    Raises:
        ConfigError: there is no quantized network in this folder, or its data is gone.
        DataError: the data does not fit the network.
    """
    from edgekd import inputs
    from edgekd.compress import quantize
    from edgekd.stages.quantize import FLOAT

    folder = _artefact(model)
    network = saved_network(folder / FLOAT, Path.cwd())
    x = _validation(folder) if data is None else _given(data, network.spec)
    prepared = quantize.load(network.model, folder)
    return of_samples(prepared, inputs.take(x, slice(samples)))


def _artefact(model: Path) -> Path:
    if (model / RECIPE).is_file():
        return model
    found = sorted(model.glob(f"quantize-*/{RECIPE}"), key=lambda path: path.stat().st_mtime)
    if found:
        return _of_summary(model) or found[-1].parent
    raise ConfigError(
        "There is no quantized network in this folder.",
        where=str(model),
        fix="give a run whose pipeline has `quantize`, or the artefact of that stage, such as "
        "runs/NAME/quantize-KEY",
    )


def _of_summary(run: Path) -> Path | None:
    """The artefact of the latest finished run, of its first seed."""
    summary = run / "summary.json"
    if not summary.is_file():
        return None
    for stage in read_json(summary).get("stages", ()):
        folder = run / str(stage.get("folder", ""))
        if (
            str(stage.get("name", "")).partition("@")[0] == "quantize"
            and (folder / RECIPE).is_file()
        ):
            return folder
    return None


def _validation(folder: Path) -> Any:
    """The validation samples of the run that an artefact lies in, normalised."""
    from edgekd.data.dataset import load

    manifest = folder / MANIFEST
    key = read_json(manifest).get("inputs", {}).get("data") if manifest.is_file() else None
    source = folder.parent / f"data-{key}"
    if key is None or not source.is_dir():
        raise ConfigError(
            "The data that this network was quantized with is not beside it.",
            where=str(folder),
            fix="give samples with --data, or the folder inside its run",
        )
    data = load(source)
    return data.spec.normalise(data.validation.x)


def _given(data: Path, spec: ModelSpec) -> Any:
    """Samples of a file, normalised; its targets, where it has any, are not looked at."""
    from edgekd.bench.data import npz_arrays
    from edgekd.bench.table_data import read_table_test
    from edgekd.data.table_file import SUFFIXES
    from edgekd.runtimes.inputs import arrange
    from edgekd.spec import NamedInputs

    if data.suffix.lower() in SUFFIXES:
        return read_table_test(data, spec, ())[0]
    if isinstance(spec.input, NamedInputs):
        raise DataError(
            "This network has several inputs, which an .npz file cannot hold.",
            where=str(data),
            fix="give a .csv or .parquet file with the columns of the training data",
        )
    (x,) = npz_arrays(data, ("x_test", "x"))
    return spec.input.normalise(arrange(x, spec.input, f"{data}, x"))
