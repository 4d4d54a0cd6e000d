"""The zoo in int8 on an emulated arm64 processor: whether it answers as this machine does, and how
many instructions an inference takes.

    python -m benchmarks.bench.emulator --data fsdd.zip
    python -m benchmarks.bench.emulator --data fsdd.zip --networks resnet8 --processor cortex-a76

Each network is trained on spoken digits for some epochs and quantized after it (PTQ); what it
answers to test recordings in each runtime is compared. Instructions are counted in several
processes, and in each for several inferences. What was found of a file stays in the work folder, so
that a run that was ended goes on.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.bench.files import EXPORT
from benchmarks.common import Row, finish, options, percent, started
from benchmarks.quantization.trained import Quantized, quantized
from benchmarks.quantization.zoo import NETWORKS
from edgekd.agent.agent import ROTATE
from edgekd.bench.table import number
from edgekd.bench.visit import ONCE
from edgekd.compress import quantize
from edgekd.config.device import EMULATED, DeviceSettings
from edgekd.data.cache import file_fingerprint
from edgekd.devices import Device, open_device
from edgekd.models.saved import load as load_saved
from edgekd.stages.quantize import FLOAT
from edgekd.store import digest, read_json, write_json

RUNTIMES = {"tflite": "LiteRT", "onnx": "ONNX Runtime"}
REPEAT = 0.001
"""Instruction counts are to repeat within this share."""
PATIENCE = 1800.0


def main() -> None:
    """Trains, counts and compares, writes and prints."""
    parser = options(__doc__, __file__)
    parser.add_argument("--data", type=Path, required=True, help="fsdd.zip")
    parser.add_argument("--networks", nargs="*", choices=NETWORKS, default=list(NETWORKS))
    parser.add_argument("--processor", choices=EMULATED, default="cortex-a72")
    parser.add_argument("--samples", type=int, default=500, help="recordings of the test set")
    parser.add_argument("--processes", type=int, default=2, help="that count instructions")
    parser.add_argument("--quick", action="store_true", help="a smoke test")
    chosen = parser.parse_args()
    if chosen.quick:
        chosen.samples = 20
    warnings.simplefilter("ignore", FutureWarning)  # of torch, told to its own developers
    start = started()
    emulated = DeviceSettings(
        name=f"arm64-{chosen.processor}", kind="emulator", processor=chosen.processor
    )
    with open_device(DeviceSettings(name="local")) as here, open_device(emulated) as there:
        if there.notes:
            raise SystemExit(". ".join(there.notes))
        processor = there.state()["processor"]
        figures = {name: of_network(name, chosen, here, there) for name in chosen.networks}
    finish(
        f"The zoo in int8 on an emulated {chosen.processor}",
        start,
        runs=f"{chosen.samples} recordings in each runtime here and there; instructions of "
        f"{chosen.processes} processes",
        quick=chosen.quick,
        figures={"processor": processor, "networks": figures},
        rows=[row for name, found in figures.items() for row in rows(name, found)],
        results=chosen.results,
    )


def of_network(
    name: str, chosen: argparse.Namespace, here: Device, there: Device
) -> dict[str, Any]:
    """Both files of a network, in their runtimes."""
    print(f"{name}:", file=sys.stderr)
    run = quantized(
        chosen.data,
        NETWORKS[name],
        0,
        *("quantize.mode=ptq", "teacher.train.epochs=4", "data.augment.views=1"),
        runs=chosen.work,
        quick=chosen.quick,
        until="quantize",
    )
    return {form: of_file(run, exported(run, form), chosen, here, there) for form in RUNTIMES}


def exported(run: Quantized, form: str) -> Path:
    """The int8 file of the network, beside what it was made of."""
    folder = run.stage("quantize")
    path = folder.with_name(f"{folder.name}.{form}")
    if not path.is_file():
        network = load_saved(folder / FLOAT)
        converted = quantize.convert(quantize.load(network.model, folder), fold=form == "onnx")
        EXPORT[form](converted, network.spec, path, precision="int8")
    return path


def of_file(
    run: Quantized, file: Path, chosen: argparse.Namespace, here: Device, there: Device
) -> dict[str, Any]:
    """Answers here and there, and instructions."""
    asked = [file_fingerprint(file), there.name, chosen.samples, chosen.processes]
    kept = chosen.work / "emulator" / f"{digest(asked)}.json"
    if kept.is_file():
        return read_json(kept)
    order = np.random.default_rng(0).permutation(len(run.test))[: chosen.samples]
    x, y = run.test[order], np.asarray(run.data.test.y)[order]
    with tempfile.TemporaryDirectory() as folder:
        inputs = Path(folder) / "x.npy"
        np.save(inputs, x)
        _counts, expected = answers(here, file, inputs, outputs=True)
        counts, found = answers(there, file, inputs, outputs=True)
        assert expected is not None and found is not None
        few = Path(folder) / "few.npy"
        np.save(few, x[:ROTATE])  # what all count on: kernels look at their values, too
        more = [answers(there, file, few)[0] for _ in range(chosen.processes - 1)]
    counted = [counts, *more]
    medians = [statistics.median(each) for each in counted]
    agreeing = int((expected.argmax(1) == found.argmax(1)).sum())
    figures = {
        "samples": len(x),
        "same_top1": agreeing,
        "agreement": agreeing / len(x),
        "equal_outputs": float((expected == found).all(1).mean()),
        "accuracy_here": float((expected.argmax(1) == y).mean()),
        "accuracy_there": float((found.argmax(1) == y).mean()),
        "instructions": statistics.median(medians),
        "instructions_counted": counted,
        "spread": max(medians) / min(medians) - 1,
        "bytes": file.stat().st_size,
    }
    kept.parent.mkdir(parents=True, exist_ok=True)
    write_json(kept, figures)
    return figures


def answers(
    device: Device, file: Path, inputs: Path, *, outputs: bool = False
) -> tuple[list[int], NDArray[np.float32] | None]:
    """Instructions of single inferences in a process of its own (none on this machine), and the
    outputs where they are asked for.
    """
    job = {"model": device.push(file), "inputs": device.push(inputs), "threads": 1, **ONCE}
    if not outputs:
        return device.run(job, PATIENCE)["instructions"], None
    result = device.run({**job, "outputs": "y.npy"}, PATIENCE)
    with tempfile.TemporaryDirectory() as folder:
        device.pull("y.npy", Path(folder) / "y.npy")
        return result.get("instructions", []), np.load(Path(folder) / "y.npy")


def rows(name: str, figures: dict[str, Any]) -> list[Row]:
    """The lines of one network: one a runtime."""
    found = []
    for form, title in RUNTIMES.items():
        of = figures[form]
        found.append(
            Row(
                f"{name}, {title}: same top-1 as here; accuracy here, there; instructions",
                f"{of['same_top1']} of {of['samples']} ({percent(of['agreement'])}); "
                f"{percent(of['accuracy_here'])}, {percent(of['accuracy_there'])}; "
                f"{number(of['instructions'])} ± {of['spread'] / 2:.4%}",
                "instructions repeat to 0.1 %",
                of["spread"] <= REPEAT,
            )
        )
    return found


if __name__ == "__main__":
    main()
