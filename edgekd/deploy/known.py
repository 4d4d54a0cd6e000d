"""What a call of `edgekd compress` knows so far, and what it can say of what is left."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from edgekd.deploy import timing
from edgekd.deploy.draft import Draft
from edgekd.deploy.end import Seen, end_seconds
from edgekd.deploy.trial import Trials, step_seconds
from edgekd.deploy.watch import Clock, Watched
from edgekd.propose.candidates import Candidate
from edgekd.propose.measure import Measured

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset


@dataclass
class Known:
    """The call, its data and teacher, and the candidates that were looked at."""

    draft: Draft
    clock: Clock
    progress: Watched
    caps: timing.Caps
    data: Dataset
    trials: Trials
    teacher_forward: float
    """Measured seconds that the teacher takes for a sample."""
    networks: dict[Candidate, nn.Module] = field(default_factory=dict)
    measured: list[Measured] = field(default_factory=list)
    _steps: dict[Candidate, float] = field(default_factory=dict)

    @property
    def batch_size(self) -> int:
        """Samples a step."""
        return self.draft.batch_size(len(self.data.train))

    def step(self, candidate: Candidate) -> float:
        """Measured seconds of a training step."""
        if candidate not in self._steps:
            network = self.networks[candidate]
            self._steps[candidate] = step_seconds(network, self.data, self.batch_size)
        return self._steps[candidate]

    def end(self, measured: Measured) -> float:
        """Seconds from the trained student to the report."""
        exports = tuple(m.export_seconds for m in self.measured)
        seen = Seen(len(self.data.test), self.teacher_forward, exports)
        return end_seconds(self.draft.pipeline(), measured, seen)
