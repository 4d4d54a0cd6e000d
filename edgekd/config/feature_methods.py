"""Settings of the methods on feature maps."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from edgekd.config.method_base import FromFeatures
from edgekd.config.schedules import Weight


class FitNetSettings(FromFeatures):
    """Hints: the student's feature maps, through a regressor that is trained with it, are to equal
    the teacher's (Romero et al. 2015)."""

    module: ClassVar[str] = "edgekd.distill.fitnet"
    name: Literal["fitnet"] = "fitnet"
    weight: Weight = 100.0
    """Weight of the method's loss."""


class ATSettings(FromFeatures):
    """Attention transfer: where the student's feature maps are strong is to be where the teacher's
    are (Zagoruyko and Komodakis 2017)."""

    module: ClassVar[str] = "edgekd.distill.at"
    needs: ClassVar[tuple[str, ...]] = ("layers", "power")
    name: Literal["at"] = "at"
    weight: Weight = 1000.0
    """Weight of the method's loss."""
    power: Annotated[float, Field(ge=1)] = 2.0
    """Of the activations, before the sum over the channels."""


class SPSettings(FromFeatures):
    """Similarity preserving: which samples of a batch are alike is to be the same (Tung and Mori
    2019)."""

    module: ClassVar[str] = "edgekd.distill.sp"
    name: Literal["sp"] = "sp"
    weight: Weight = 3000.0
    """Weight of the method's loss."""


class PKTSettings(FromFeatures):
    """Probabilistic knowledge transfer: how alike the samples of a batch are, as probabilities
    (Passalis and Tefas 2018)."""

    module: ClassVar[str] = "edgekd.distill.pkt"
    name: Literal["pkt"] = "pkt"
    weight: Weight = 30000.0
    """Weight of the method's loss."""


class RKDSettings(FromFeatures):
    """Relations of the samples in a batch: their distances and their angles (Park et al. 2019)."""

    module: ClassVar[str] = "edgekd.distill.rkd"
    name: Literal["rkd"] = "rkd"
    distance: NonNegativeFloat = 25.0
    """Factor of the distances."""
    angle: NonNegativeFloat = 50.0
    """Factor of the angles, which take memory as the third power of the batch."""


class VIDSettings(FromFeatures):
    """Variational information distillation: the teacher's maps are to be likely, given the
    student's (Ahn et al. 2019)."""

    module: ClassVar[str] = "edgekd.distill.vid"
    name: Literal["vid"] = "vid"


class CRDSettings(FromFeatures):
    """Contrastive representation distillation: the student's embedding of a sample is to be nearer
    to the teacher's than to the teacher's of the others in the batch (Tian et al. 2020)."""

    module: ClassVar[str] = "edgekd.distill.crd"
    name: Literal["crd"] = "crd"
    weight: Weight = 0.8
    """Weight of the method's loss."""
    temperature: PositiveFloat = 0.07
    """Divides the cosines."""
    dimension: PositiveInt = 128
    """Of the embeddings."""


class ReviewKDSettings(FromFeatures):
    """Knowledge review: each of the teacher's maps from the student's of that depth and deeper
    (Chen et al. 2021)."""

    module: ClassVar[str] = "edgekd.distill.reviewkd"
    name: Literal["reviewkd"] = "reviewkd"
    weight: Weight = 5.0
    """Weight of the method's loss; 0.6 for a ResNet-20, 8 for ShuffleNetV2."""
    warmup_epochs: PositiveInt = 20
    """Epochs in which the weight of the method's loss climbs to its own, from 1/20 on."""


FeatureMethod = (
    FitNetSettings
    | ATSettings
    | SPSettings
    | PKTSettings
    | RKDSettings
    | VIDSettings
    | CRDSettings
    | ReviewKDSettings
)
