"""End to end as an app does it, in a process of its own: a file's bytes in, an answer out.

    python -m edgekd.bench.raw_process JOB.json RESULT.json

JOB: model, threads; files, paths of pictures or recordings; and, as in the agent's jobs, min_runs,
min_seconds, max_seconds, warmup_runs and warmup_seconds. RESULT: ok, and if not: error, where, fix;
steps {name: {latency_us, quantiles_us}} for each of `STEPS`; answers, the number of the largest
output for each file.

The bytes lie in memory: a disk or a camera is not part of it.
"""

from __future__ import annotations

import gc
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from edgekd.agent import agent
from edgekd.bench.result import STEPS
from edgekd.data import sound
from edgekd.errors import EdgekdError
from edgekd.runtimes.inputs import PICTURES, decode_picture, pixels, pixels_as_samples
from edgekd.runtimes.loaded import load
from edgekd.spec import DeployedSpec, InputSpec
from edgekd.store import write_atomic


class App:
    """What an app does around the model, as the file tells."""

    def __init__(self, model: agent.ModelFile, deployed: DeployedSpec) -> None:
        assert isinstance(deployed.model.input, InputSpec)
        self.model = model
        self.spec = deployed.model.input
        self.baked = deployed.preprocess == "baked"

    def decode(self, content: bytes, path: Path) -> Any:
        """A picture in its own size, or a recording's rate in Hz and its samples (N,)."""
        if path.suffix.lower() in PICTURES:
            return decode_picture(content, self.spec, path)
        rate, _channels, mono = sound.decode(content, path.name)
        return rate, mono

    def preprocess(self, decoded: Any) -> None:
        """Brings it into the runtime's tensor."""
        self.model.use(self.model.place(self._arrays(decoded)))

    def _arrays(self, decoded: Any) -> list[np.ndarray]:
        spec = self.spec
        if isinstance(decoded, tuple):
            rate, mono = decoded
            assert spec.sound is not None
            if self.baked:  # the file makes the features itself
                fitted = sound.fit(sound.resample(mono, rate, spec.sound.rate), spec.sound.samples)
                return self.model.prepare(fitted[None])
            return self.model.prepare(spec.normalise(sound.features(mono, rate, spec.sound)[None]))
        values = pixels(decoded, spec)
        if self.baked and np.dtype(self.model.inputs[0][2]) == np.uint8:
            return [np.ascontiguousarray(values[None])]
        return self.model.prepare(spec.normalise(pixels_as_samples(values, spec)[None]))

    def answer(self) -> int:
        """The number of the largest output."""
        return int(self.model.real(np.array(self.model.outputs()[self.model.answer])).argmax())


def measure(job: dict[str, Any]) -> dict[str, Any]:
    """Does a job; see this module's docstring."""
    path = Path(job["model"])
    deployed = load(path).describe()
    assert deployed is not None  # looked at before
    app = App(agent.load(str(path), int(job["threads"])), deployed)
    files = [Path(name) for name in job["files"]]
    contents = [file.read_bytes() for file in files]
    answers = [_once(app, content, file)[1] for content, file in zip(contents, files, strict=True)]
    pairs = list(zip(contents, files, strict=True))
    gc.collect()
    gc.disable()
    warm = {"max_seconds": float("inf"), "min_runs": job["warmup_runs"]}
    _runs(app, pairs, {**warm, "min_seconds": job["warmup_seconds"]})
    times = np.array(_runs(app, pairs, job), np.int64)
    together = times.sum(axis=1)
    steps = {}
    for name, values in zip(STEPS, (*times.T, together), strict=True):
        quantiles = np.percentile(values / 1e3, agent.PER_MILLE)
        steps[name] = {
            "latency_us": agent.distribution(values),
            "quantiles_us": [round(float(value), 3) for value in quantiles],
        }
    return {"ok": True, "steps": steps, "answers": answers}


def _runs(
    app: App, pairs: list[tuple[bytes, Path]], job: dict[str, Any]
) -> list[tuple[int, int, int, int]]:
    """Nanoseconds of the four steps, run by run."""
    found: list[tuple[int, int, int, int]] = []
    begin = time.perf_counter()
    while True:
        found.append(_once(app, *pairs[len(found) % len(pairs)])[0])
        spent = time.perf_counter() - begin
        enough = len(found) >= job["min_runs"] and spent >= job["min_seconds"]
        if enough or spent >= (job.get("max_seconds") or float("inf")):
            return found


def _once(app: App, content: bytes, path: Path) -> tuple[tuple[int, int, int, int], int]:
    clock = time.perf_counter_ns
    start = clock()
    decoded = app.decode(content, path)
    decoded_at = clock()
    app.preprocess(decoded)
    ready_at = clock()
    app.model.invoke()
    computed_at = clock()
    answer = app.answer()
    end = clock()
    spent = (decoded_at - start, ready_at - decoded_at, computed_at - ready_at, end - computed_at)
    return spent, answer


def main(arguments: list[str]) -> int:
    """Reads the job and writes the result. Returns the exit code."""
    job = json.loads(Path(arguments[0]).read_text(encoding="utf-8"))
    try:
        result = measure(job)
    except (EdgekdError, agent.AgentError) as error:
        result = {"ok": False, "error": error.what, "where": error.where, "fix": error.fix}
    write_atomic(Path(arguments[1]), json.dumps(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
