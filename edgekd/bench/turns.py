"""Files that took turns of milliseconds within one process, and what their neighbouring blocks say.

What else runs on a machine slows it for a moment or for minutes. Two blocks of runs that are
neighbours feel it alike, so that their ratio tells of the files (pairing, or blocking: Fisher 1935,
"The Design of Experiments"; Bulej et al. 2020, "Duet Benchmarking: Improving Measurement Accuracy
in the Cloud", show how much it helps beside other load).

Neighbours within a process share its start, however: where each file's memory lies. The unit is
therefore the process (Kalibera and Jones 2013, "Rigorous Benchmarking in Reasonable Time"), which
gives one number, a median that a few bad moments do not move. The interval is Student's t over
these numbers (Student 1908). How they vary within a process is part of how they differ between
processes, so nothing is added for it. For equal files the numbers lie symmetrically around 0, and
there t claims too little rather than too much where tails are heavy (Benjamini 1983, "Is the t Test
Really Conservative When the Parent Distribution Is Long-Tailed?").
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from edgekd.bench.bootstrap import Comparison
from edgekd.statistics import t_factor

Blocks = Sequence[Sequence[float]]
"""Of a file, by process: the lower quartiles of its blocks in microseconds, turn by turn. Those of
the same place in another file's are their neighbours. Their number is even: half of the turns go
backwards."""


def comparable(first: Blocks, second: Blocks) -> bool:
    """Whether two files took turns in the same processes, and in several of them."""
    counts = [[len(blocks) for blocks in file] for file in (first, second)]
    return counts[0] == counts[1] and len(first) > 1 and all(n and n % 2 == 0 for n in counts[0])


def compare_turns(first: Blocks, second: Blocks, confidence: float = 0.95) -> Comparison:
    """The second file's time by the first's, of blocks that were neighbours, with its interval.

    Args:
        first: see `comparable`.
        second: of the other file.
    """
    values = [process_log_ratio(*process) for process in zip(first, second, strict=True)]
    n = len(values)
    centre = float(np.mean(values))
    half = t_factor(confidence, n - 1) * float(np.std(values, ddof=1)) / math.sqrt(n)
    low, high = math.exp(centre - half), math.exp(centre + half)
    blocks = sum(map(len, first))
    return Comparison(math.exp(centre), low, high, confidence, pairs=n, blocks=blocks)


def process_log_ratio(first: Sequence[float], second: Sequence[float]) -> float:
    """The logarithm of a process's ratio: the median over its turns. As many go forwards as
    backwards, so that a steady drift, and what it costs to come after the other, lie on both sides.
    """
    logs = np.log(np.asarray(second, np.float64)) - np.log(np.asarray(first, np.float64))
    return float(np.median(logs))
