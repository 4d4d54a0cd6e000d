"""The first load and run of a file of unknown origin, in a process of its own.

A runtime that meets an operator which it computes wrongly, or a shape that it did not expect, may
end the process or ask for all memory. Here that is a process that nobody needs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from edgekd.agent import agent
from edgekd.errors import EdgekdError

SECONDS = 120.0
MOST_MEMORY = 16 << 30
"""Address space, in bytes: XNNPACK and ONNX Runtime reserve much more than they use."""
PROGRAM = """
import resource, sys
soft, hard = resource.getrlimit(resource.RLIMIT_AS)
most = int(sys.argv[3]) if hard == resource.RLIM_INFINITY else min(int(sys.argv[3]), hard)
resource.setrlimit(resource.RLIMIT_AS, (most, hard))
resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
sys.path.insert(0, sys.argv[4])
import agent
sys.exit(agent.main(sys.argv[1:3]))
"""
RUN_ONCE = {"min_runs": 1, "min_seconds": 0.0, "warmup_seconds": 0.0}


def probe(path: Path, *, runs: bool = True) -> None:
    """Loads a model file and runs it once on made-up inputs.

    Args:
        path: an .onnx or .tflite file.
        runs: whether to run it, too; its open dimensions are then 1, which not every model takes.

    Raises:
        EdgekdError: its runtime ends the process, takes too long, or refuses the file.
    """
    with tempfile.TemporaryDirectory(prefix="edgekd-probe-") as folder:
        job, result = Path(folder) / "job.json", Path(folder) / "result.json"
        model = str(path.absolute())
        job.write_text(json.dumps({"model": model, "load_only": not runs, **RUN_ONCE}))
        arguments = [str(job), str(result), str(MOST_MEMORY), str(Path(agent.__file__).parent)]
        try:
            done = subprocess.run(
                [sys.executable, "-c", PROGRAM, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=SECONDS,
                check=False,
                cwd=folder,
            )
        except subprocess.TimeoutExpired as error:
            raise EdgekdError(
                f"The runtime has not run this file once in {SECONDS:.0f} s.", where=model
            ) from error
        if not result.is_file():
            ended = f"signal {-done.returncode}" if done.returncode < 0 else "no result"
            raise EdgekdError(
                f"The runtime crashes on this file ({ended}), so it is not used.",
                where=model,
                fix="copy or export it again; if it comes from elsewhere, do not trust it",
            )
        told = json.loads(result.read_text(encoding="utf-8"))
    if not told.get("ok"):
        place = str(told.get("where") or "")
        raise EdgekdError(
            str(told.get("error")),
            where=place if model in place else f"{model}: {place}".rstrip(": "),
            fix=str(told.get("fix") or ""),
        )
