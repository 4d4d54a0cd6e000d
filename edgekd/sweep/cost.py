"""What a trial's file costs, measured once for each network: size and time of a file do not depend
on what its weights are.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd.config.budget import LatencyBudget
from edgekd.config.load import load_device
from edgekd.config.pipeline import Pipeline
from edgekd.config.sweep import SweepSettings
from edgekd.keys import code_key
from edgekd.store import digest, locked, read_json, write_json
from edgekd.sweep.objectives import Costs

if TYPE_CHECKING:
    from torch import nn

FOLDER = "costs"
"""In the sweep's run folder: a file a network."""


def costs_of(
    pipeline: Pipeline,
    base: Path,
    folder: Path,
    sweep: SweepSettings,
    data: Path,
    pruned: Path | None = None,
) -> Costs:
    """The costs of the pipeline's deployed file, from its network before the training.

    Args:
        base: the folder that relative paths of the pipeline file start from.
        folder: the sweep's run folder, where they are kept.
        data: the artefact of the data.
        pruned: of a pipeline that prunes, the artefact of the stage, once it is known.

    Raises:
        StageError: the format cannot express the network, or a device cannot be reached.
    """
    if not sweep.costly:
        return Costs(0, ())
    key = digest(
        {
            "model": pipeline.student_model.model_dump(mode="json"),
            "pruned": pruned.name if pruned is not None else None,
            "keep_float": pipeline.quantize.named_float if pipeline.quantize else (),
            "file": [pipeline.deployed_format, pipeline.deployed_precision],
            "data": data.name,
            "timed": [_described(limit, base) for limit in sweep.timed],
            "code": code_key("edgekd.propose.untrained"),
        }
    )
    path = folder / FOLDER / f"{key}.json"
    with locked(path.with_suffix(".lock"), lambda: None):
        if not path.is_file():
            measured = _measured(
                pipeline, sweep, data, lambda: _network(pipeline, base, data, pruned)
            )
            write_json(path, measured)
    return _read(read_json(path), sweep)


def _described(limit: LatencyBudget, base: Path) -> dict[str, Any]:
    from edgekd.devices.machine import describe_machine

    return {
        "threads": limit.threads,
        "device": load_device(limit.device, base).model_dump(mode="json"),
        "machine": describe_machine().model_dump(mode="json"),
    }


def _network(pipeline: Pipeline, base: Path, data: Path, pruned: Path | None) -> nn.Module:
    """The untrained network, or the pruned one."""
    import torch

    from edgekd.data.dataset import load
    from edgekd.models.build import build
    from edgekd.stages.networks import saved_network

    if pruned is not None:
        return saved_network(pruned, base).model
    found = load(data)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(pipeline.student_model, found.spec, found.classes, base)


def _measured(
    pipeline: Pipeline, sweep: SweepSettings, data: Path, network: Callable[[], nn.Module]
) -> dict[str, Any]:
    from edgekd.data.dataset import load
    from edgekd.propose.untrained import time_file, write_file

    with tempfile.TemporaryDirectory(prefix="edgekd-trial-") as place:
        path = write_file(
            network(),
            load(data),
            Path(place),
            pipeline.deployed_format,
            pipeline.deployed_precision,  # type: ignore[arg-type]
            pipeline.quantize.named_float if pipeline.quantize else (),
        )
        times = [time_file(path, pipeline.deployed_precision, limit) for limit in sweep.timed]
        return {
            "size": path.stat().st_size,
            "times": [{"p50": found.p50, "p90": found.p90} for found in times],
        }


def _read(raw: dict[str, Any], sweep: SweepSettings) -> Costs:
    times = zip(sweep.timed, raw["times"], strict=True)
    return Costs(raw["size"], tuple((limit, t["p50"], t["p90"]) for limit, t in times))
