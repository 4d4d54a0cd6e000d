"""What the settings of all distillation methods share."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from pydantic import NonNegativeFloat, model_validator

from edgekd.config.base import Settings
from edgekd.config.schedules import Weight, WeightSchedule


class FromTeacher(Settings):
    """A method that learns from a teacher."""

    ce_weight: NonNegativeFloat = 1.0
    """Weight of the loss with the labels; in a list of methods the first one's counts."""
    weight: Weight = 1.0
    """Weight of the method's loss, or a schedule of it; `kd_weight` is another name for it."""

    @model_validator(mode="before")
    @classmethod
    def _other_name(cls, value: Any) -> Any:
        if not isinstance(value, dict) or "kd_weight" not in value:
            return value
        if "weight" in value:
            raise ValueError("`kd_weight` is another name for `weight`: give one of them")
        return {("weight" if name == "kd_weight" else name): v for name, v in value.items()}


Layers = str | tuple[str, ...] | dict[str, str]


class FromFeatures(FromTeacher):
    """What the methods on feature maps share. The teacher runs beside the student, on the same
    samples, unless `softlabels.features` keeps its maps; it has to be a network of torch."""

    module: ClassVar[str]
    needs: ClassVar[tuple[str, ...]] = ("layers",)
    """Fields that say what of the teacher's maps is needed."""
    layers: Layers | None = None
    """Layers whose outputs are compared, by name, wildcards allowed: a name, or a list of names,
    that student and teacher both have, or a mapping from the student's names to the teacher's. By
    default the last feature map, and for at, vid and reviewkd the last of each size."""

    @property
    def needed(self) -> Self:
        """The method without what has no say in what of the teacher's maps is needed."""
        return type(self).model_validate({name: getattr(self, name) for name in self.needs})

    @model_validator(mode="after")
    def _gradient_is_of_logits(self) -> FromFeatures:
        if isinstance(self.weight, WeightSchedule) and self.weight.by == "gradient":
            raise ValueError("weight by gradient is for methods on logits")
        return self
