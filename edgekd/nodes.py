"""A stage's work in the graph of a pipeline, and the names of the stages."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from edgekd.config.base import Settings
from edgekd.keys import code_key
from edgekd.store import digest

ORDER = (
    "data",
    "search",
    "teacher",
    "softlabels",
    "check",
    "features",
    "assistant",
    "tune",
    "distill",
    "finetune",
    "prune",
    "quantize",
    "control-distill",
    "control-finetune",
    "control-prune",
    "control-quantize",
    "compare",
    "export-teacher",
    "export",
    "quality",
    "bench",
)
"""All stages, in the order in which they run."""
SHARED = ("teacher", "softlabels", "features")
"""Stages that all run folders of one place share: students and sweeps over one teacher."""
NUMBER = re.compile(r"-a?[0-9]+$")
"""Of one of several teachers ("-2"), or of a student that teaches the next one ("-a1")."""


@dataclass(frozen=True)
class Node:
    """One stage's work, for one seed."""

    stage: str
    """Of `ORDER`; those of several teachers are numbered, such as "teacher-1"."""
    name: str
    """The stage, or in a run over several seeds "stage@seed"."""
    seed: int
    settings: Settings
    inputs: Mapping[str, Node]
    """By role: "data", "teacher", "student", "softlabels", "teacher-network"."""
    outside: Mapping[str, Any]
    """What else can change the result: fingerprints of files, the effective precision."""

    @property
    def module(self) -> str:
        """The module of `edgekd.stages` that does it: where its settings are."""
        return type(self.settings).__module__.rpartition(".")[2]

    @property
    def kind(self) -> str:
        """The stage without its number, of `ORDER`: what its artefact is called after, so that the
        same teacher is the same artefact, whether it teaches alone or with others."""
        return NUMBER.sub("", self.stage)

    @property
    def shared(self) -> bool:
        """Whether a run folder takes it from another one: what a teacher costs is paid once."""
        return self.kind in SHARED

    @cached_property
    def key(self) -> str:
        """The artefact's key: all that can change it, and nothing else."""
        return digest(
            {
                "stage": self.kind,
                "seed": self.seed,
                "settings": self.settings.model_dump(mode="json"),
                "inputs": {role: node.key for role, node in self.inputs.items()},
                "outside": dict(self.outside),
                "code": code_key(f"edgekd.stages.{self.module}"),
            }
        )
