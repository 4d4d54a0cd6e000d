"""Settings of the methods on feature maps."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import NonNegativeFloat, PositiveFloat

from edgekd.config.method_base import FromFeatures


class FitNetSettings(FromFeatures):
    """Hints: the student's feature maps, through a regressor that is trained with it, are to equal
    the teacher's (Romero et al. 2015)."""

    module: ClassVar[str] = "edgekd.distill.fitnet"
    name: Literal["fitnet"] = "fitnet"
    weight: NonNegativeFloat = 100.0
    """Weight of the method's loss."""


class ATSettings(FromFeatures):
    """Attention transfer: where the student's feature maps are strong is to be where the teacher's
    are (Zagoruyko and Komodakis 2017)."""

    module: ClassVar[str] = "edgekd.distill.at"
    name: Literal["at"] = "at"
    weight: NonNegativeFloat = 1000.0
    """Weight of the method's loss."""
    power: PositiveFloat = 2.0
    """Of the activations, before the sum over the channels."""


FeatureMethod = FitNetSettings | ATSettings
