"""What all tests share."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

# Tests run side by side, one worker for each core. With more threads than cores, those that wait
# for the others at the end of each operator keep a core busy: the same tests took four times the
# processor time.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# How long an example takes says how busy the machine is, and nothing of edgekd.
settings.register_profile(
    "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("any machine")
