"""The loss that a student is trained with: one distillation method, or a sum of several.

Defaults are the authors', for CIFAR-100, unless said.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from edgekd.config.base import Settings
from edgekd.config.feature_methods import (
    ATSettings,
    CRDSettings,
    FeatureMethod,
    FitNetSettings,
    PKTSettings,
    ReviewKDSettings,
    RKDSettings,
    SPSettings,
    VIDSettings,
)
from edgekd.config.logit_methods import (
    COMPARE_CLASSES,
    NEED_LABELS,
    CTKDSettings,
    DISTSettings,
    DKDSettings,
    KDSettings,
    LogitMethod,
    MLKDSettings,
    NKDSettings,
    PlainMethod,
)
from edgekd.config.method_base import FromFeatures, FromTeacher
from edgekd.config.mutual import MutualSettings
from edgekd.config.schedules import AUTO, WeightSchedule, settled, start_of

__all__ = [
    "COMPARE_CLASSES",
    "NEED_LABELS",
    "ATSettings",
    "CRDSettings",
    "CTKDSettings",
    "DISTSettings",
    "DKDSettings",
    "DefaultSettings",
    "FitNetSettings",
    "KDSettings",
    "LabelsSettings",
    "LogitMethod",
    "MLKDSettings",
    "Method",
    "MutualSettings",
    "NKDSettings",
    "OneMethod",
    "PKTSettings",
    "PlainMethod",
    "RKDSettings",
    "ReviewKDSettings",
    "SPSettings",
    "VIDSettings",
    "after_training",
    "ce_weight",
    "is_auto",
    "is_mutual",
    "needs_features",
    "needs_logits",
    "parts_of",
    "temperature_of",
    "usual",
    "weighed_by_gap",
    "without_features",
]


class LabelsSettings(Settings):
    """No teacher: cross-entropy with the labels. The control arm of every comparison."""

    name: Literal["labels"] = "labels"


class DefaultSettings(Settings):
    """What suits the task: `dist` of three classes and more, else `kd`, each with its own defaults.
    With `softlabels.top` it is `kd`."""

    name: Literal["default"] = "default"
    temperature: ClassVar[float] = 4.0
    """Of either."""


def _checked(methods: tuple[OneMethod, ...]) -> tuple[OneMethod, ...]:
    if not methods:
        raise ValueError("name at least one method")
    if sum(is_auto(method) for method in methods) > 1:
        raise ValueError("one method of a list may be `auto`")
    if any(isinstance(method, DefaultSettings) for method in methods):
        raise ValueError("`default` stands alone: name the method, `dist` or `kd`")
    if len(methods) > 1 and any(isinstance(method, LabelsSettings) for method in methods):
        raise ValueError(
            "the loss with the labels stands beside every method: set the first one's `ce_weight`"
        )
    first, *others = list(methods)
    for method in others:
        default = type(method).model_fields["ce_weight"].default
        if method.ce_weight not in (default, first.ce_weight):  # type: ignore[union-attr]
            raise ValueError(
                "the loss with the labels counts once, with the `ce_weight` of the first method: "
                f"take that of {method.name} away"
            )
    return methods


def _one_or_several(value: Any) -> str:
    return "<several>" if isinstance(value, list | tuple) else "<one>"


OneMethod = Annotated[
    LogitMethod | FeatureMethod | MutualSettings | LabelsSettings | DefaultSettings,
    Field(discriminator="name"),
]
Method = Annotated[
    Annotated[OneMethod, Tag("<one>")]
    | Annotated[tuple[OneMethod, ...], AfterValidator(_checked), Tag("<several>")],
    Discriminator(_one_or_several),
]
"""ce_weight * the loss with the labels + the sum of weight * method; the `ce_weight` is that of the
first method."""


def parts_of(method: Method) -> tuple[OneMethod, ...]:
    """The methods of a sum; one alone is a sum of one."""
    return method if isinstance(method, tuple) else (method,)


def ce_weight(method: Method) -> float:
    """The weight of the loss with the labels, of a method that is no `default` any more."""
    first = parts_of(method)[0]
    assert not isinstance(first, DefaultSettings)
    return 1.0 if isinstance(first, LabelsSettings) else first.ce_weight


def needs_logits(method: Method) -> bool:
    """Whether the teacher's answers to the training samples are asked for."""
    return any(isinstance(part, LogitMethod | DefaultSettings) for part in parts_of(method))


def needs_features(method: Method) -> bool:
    """Whether the teacher itself has to run beside the student."""
    return any(isinstance(part, FromFeatures) for part in parts_of(method))


def without_features(method: Method) -> Method:
    """The methods that do without feature maps, with the same weight of the labels' loss; the
    labels alone if there are none."""
    return _without(method, FromFeatures)


def _without(method: Method, kind: type[FromTeacher]) -> Method:
    """A sum without its methods of a kind; the labels' loss keeps its weight."""
    if not any(isinstance(part, kind) for part in parts_of(method)):
        return method
    kept = tuple(part for part in parts_of(method) if not isinstance(part, kind))
    if not kept:
        return LabelsSettings()
    if isinstance(kept[0], LabelsSettings):
        return kept
    return (kept[0].model_copy(update={"ce_weight": ce_weight(method)}), *kept[1:])


def temperature_of(method: Method) -> float:
    """The temperature of the first method on logits with one, at the start; 1 where none has."""
    on_logits = (part for part in parts_of(method) if needs_logits(part))
    found = (getattr(part, "temperature", None) for part in on_logits)
    return next((start_of(t) for t in found if t is not None), 1.0)


def is_auto(method: Method) -> bool:
    """Whether a temperature or a weight is to be chosen."""
    return any(
        getattr(part, name, None) == AUTO
        for part in parts_of(method)
        for name in ("temperature", "weight")
    )


def is_mutual(method: Method) -> bool:
    """Whether networks beside the student are trained with it."""
    return any(isinstance(part, MutualSettings) for part in parts_of(method))


def weighed_by_gap(method: Method) -> bool:
    """Whether the student's gap to the teacher on validation drives a weight."""
    weights = (getattr(part, "weight", None) for part in parts_of(method))
    return any(isinstance(weight, WeightSchedule) and weight.by == "gap" for weight in weights)


def usual(method: Method) -> Method:
    """The method with its own defaults in the place of `auto`: what an assistant learns by."""
    parts = tuple(
        part.model_copy(
            update={
                name: type(part).model_fields[name].default
                for name in ("temperature", "weight")
                if getattr(part, name, None) == AUTO
            }
        )
        for part in parts_of(method)
    )
    return parts if isinstance(method, tuple) else parts[0]


def after_training(method: Method) -> Method:
    """What later trainings of the same student learn from: schedules have come to their end, and
    peers are gone."""
    method = _without(method, MutualSettings)
    parts = tuple(
        part.model_copy(
            update={
                name: settled(getattr(part, name))
                for name in ("temperature", "weight")
                if name in type(part).model_fields
            }
        )
        for part in parts_of(method)
    )
    return parts if isinstance(method, tuple) else parts[0]
