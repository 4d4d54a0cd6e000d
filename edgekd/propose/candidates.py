"""Students that may be proposed: smaller copies of a network, and networks of the zoo by width."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from edgekd.config.pruning import PruneSettings
from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError

if TYPE_CHECKING:
    from torch import nn

    from edgekd.data.dataset import Dataset

COPY = "copy"
"""The family of copies of the given network."""
KEEPS = (0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
"""Shares of a copy that pruning keeps; 1 is the network itself."""
WIDTHS = (0.25, 0.35, 0.5, 0.75, 1.0, 1.4, 2.0, 3.0)
ONLY_FOR = {"kws_dscnn": "audio", "mlp": "row", "tablemlp": "named", "cnn1d": "series"}
"""Networks that are made for one kind of input."""


class TooSmall(StageError):
    """Pruning does not get as far down."""


@dataclass(frozen=True)
class Candidate:
    """A student that is not trained yet."""

    family: str
    """`COPY`, or a name of the zoo."""
    size: float
    """Within the family: the share kept, or the width."""
    target: Literal["macs", "parameters"] = "parameters"
    """What the share of a copy counts."""

    @property
    def model(self) -> ModelSettings:
        """A zoo network's settings."""
        return ModelSettings.model_validate({"name": self.family, "width": self.size})

    @property
    def prune(self) -> dict[str, Any]:
        """A copy's fields of `prune`; empty where it is whole."""
        return {} if self.size == 1 else {"target": self.target, "keep": self.size}

    @property
    def label(self) -> str:
        """In a few words, for tables."""
        if self.family != COPY:
            return self.model.label
        if self.size == 1:
            return "the model itself"
        return f"copy, {self.size:.0%} of its {'MACs' if self.target == 'macs' else 'parameters'}"


@dataclass(frozen=True)
class Family:
    """Candidates that differ in size only, and how each is built."""

    name: str
    members: tuple[Candidate, ...]
    """From small to large."""
    parameters: tuple[int, ...]
    """What each has; of copies, about."""
    macs: tuple[int, ...]
    build: Callable[[Candidate], nn.Module]
    """Raises StageError where there is no such network."""


def zoo_families(data: Dataset, base: Path, most: int | None = None) -> list[Family]:
    """The networks of the zoo that suit the data's kind of input; an MLP only for rows and tables,
    where nothing else fits.

    Args:
        most: widths of more parameters are left out, but for the smallest of a family.
    """
    from edgekd.models.build import names

    kind = getattr(data.spec, "kind", "")
    found: list[Family] = []
    for name in names():
        if ONLY_FOR.get(name, kind) != kind:
            continue
        family = _zoo_family(name, data, base, most)
        if family is not None:
            found.append(family)
    return found


def chosen_families(
    models: Sequence[str], widths: Sequence[float], data: Dataset, base: Path
) -> list[Family]:
    """The named networks of the zoo in the named widths.

    Raises:
        StageError: a network does not take such samples.
    """
    found = []
    for name in dict.fromkeys(models):
        build_zoo(Candidate(name, min(widths)), data, base)  # says why, where there is none
        family = _zoo_family(name, data, base, None, tuple(sorted(set(widths))))
        assert family is not None
        found.append(family)
    return found


def _zoo_family(
    name: str,
    data: Dataset,
    base: Path,
    most: int | None,
    widths: tuple[float, ...] = WIDTHS,
) -> Family | None:
    from edgekd.models.count import parameters

    members: dict[int, tuple[Candidate, int]] = {}
    build = partial(build_zoo, data=data, base=base)
    for width in widths:
        candidate = Candidate(name, width)
        try:
            network = build(candidate)
        except StageError:
            return None  # no network for such an input
        size = parameters(network)
        if members and most is not None and size > most:
            break
        if size not in members:
            members[size] = (candidate, _macs(network, data.spec))
    sizes = sorted(members)
    return Family(
        name,
        tuple(members[size][0] for size in sizes),
        tuple(sizes),
        tuple(members[size][1] for size in sizes),
        build,
    )


def _macs(network: nn.Module, spec: Any) -> int:
    """Counted by shapes alone; the network is of no use afterwards."""
    from edgekd import inputs
    from edgekd.models.count import macs_of

    example = inputs.apply(lambda part: part.to("meta"), inputs.zeros(spec, 1))
    return macs_of(network.to("meta"), example)


def build_zoo(candidate: Candidate, data: Dataset, base: Path) -> nn.Module:
    """An untrained network of the zoo; the same weights each time."""
    import torch

    from edgekd.models.build import build

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return build(candidate.model, data.spec, data.classes, base)


def copies(network: nn.Module, data: Dataset, target: Literal["macs", "parameters"]) -> Family:
    """Pruned copies of a trained network, and the network itself.

    Args:
        target: what pruning brings down; the limit that is harder to keep.
    """
    from edgekd.models.count import macs, parameters

    size, work = parameters(network), macs(network, data.spec)

    @cache
    def build(candidate: Candidate) -> nn.Module:
        from edgekd import inputs
        from edgekd.compress.prune import prune

        if candidate.size == 1:
            return network
        try:
            return prune(network, inputs.zeros(data.spec, 2), PruneSettings(**candidate.prune))
        except StageError as error:
            raise TooSmall(error.what, where=error.where, fix=error.fix) from error

    return Family(
        COPY,
        tuple(Candidate(COPY, keep, target) for keep in KEEPS),
        tuple(int(size * keep) for keep in KEEPS),
        tuple(int(work * keep) for keep in KEEPS),
        build,
    )
