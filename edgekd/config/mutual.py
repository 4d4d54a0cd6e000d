"""Settings of deep mutual learning: students that teach each other."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Discriminator, Field, PositiveFloat, PositiveInt, Tag, field_validator

from edgekd.config.method_base import FromTeacher
from edgekd.config.networks import ModelSettings, network_of


def _number_or_networks(value: Any) -> str:
    return "<number>" if isinstance(value, int) else "<networks>"


class MutualSettings(FromTeacher):
    """Deep mutual learning: the student and other networks are trained together from scratch, and
    each learns the others' answers beside the labels (Zhang et al. 2018). No teacher is asked."""

    module: ClassVar[str] = "edgekd.distill.mutual"
    name: Literal["mutual"] = "mutual"
    peers: Annotated[
        Annotated[PositiveInt, Tag("<number>")]
        | Annotated[Annotated[tuple[ModelSettings, ...], Field(min_length=1)], Tag("<networks>")],
        Discriminator(_number_or_networks),
    ] = 1
    """The networks beside the student: a network such as `resnet20 x 0.5`, a list of them, or so
    many more of the student's own. They teach, and are forgotten: the student alone is kept."""
    temperature: PositiveFloat = 1.0
    """Divides all logits before the softmax."""

    @field_validator("peers", mode="before")
    @classmethod
    def _networks(cls, value: Any) -> Any:
        if isinstance(value, int):
            return value
        several = value if isinstance(value, list | tuple) else [value]
        return [network_of(each) if isinstance(each, str) else each for each in several]

    def networks(self, student: ModelSettings) -> tuple[ModelSettings, ...]:
        """The peers of a student."""
        return (student,) * self.peers if isinstance(self.peers, int) else self.peers
