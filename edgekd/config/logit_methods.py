"""Settings of the methods on logits.

Defaults are the authors', for CIFAR-100, unless said.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from edgekd.config.method_base import FromTeacher
from edgekd.config.schedules import Temperature, Weight


class FromLogits(FromTeacher):
    """What the methods on logits share."""

    standardize: bool = False
    """Logits of both are standardized for each sample before the method's loss (Sun et al. 2024,
    logit standardization): only their relations are learned. The loss with the labels takes them as
    they are. The authors then take a `temperature` of 2 and nine times the weight."""


class KDSettings(FromLogits):
    """Hinton's distillation: soft targets at a temperature (Hinton et al. 2015). Of several labels,
    each by itself. Of a regression, the teacher says how near to the target to come."""

    name: Literal["kd"] = "kd"
    temperature: Temperature = 4.0
    """Divides the logits of both before the softmax."""
    ce_weight: NonNegativeFloat = 0.1
    """Weight of the loss with the labels: cross-entropy, or the task's own."""
    weight: Weight = 0.9
    """Weight of T² KL(teacher ‖ student), or of a regression's loss with the teacher."""
    regression: Literal["bounded", "mimic"] = "bounded"
    """Of a regression: `bounded` is the squared error with the target until the student is nearer
    to it than the teacher (Chen et al. 2017); `mimic` the squared difference from the teacher's
    answers (Ba and Caruana 2014)."""
    margin: NonNegativeFloat = 0.0
    """Of `bounded`: so much nearer than the teacher, in squared standard deviations."""


class DKDSettings(FromLogits):
    """Decoupled distillation: how sure the teacher is of the target, and how it sees the other
    classes, each with a weight of its own (Zhao et al. 2022, equation 7)."""

    name: Literal["dkd"] = "dkd"
    temperature: Temperature = 4.0
    """Divides the logits of both before the softmax."""
    alpha: NonNegativeFloat = 1.0
    """Weight of the divergence of target against the rest."""
    beta: NonNegativeFloat = 8.0
    """Weight of the divergence among the other classes; 2 for a ResNet-20, 6 for a WRN-16-2."""
    warmup_epochs: PositiveInt = 20
    """Epochs in which the weight of the method's loss climbs to its own, from 1/20 on."""


class DISTSettings(FromLogits):
    """Relations instead of values: one less Pearson's correlation of student and teacher, within
    each sample and within each class (Huang et al. 2022, equations 9 to 11)."""

    name: Literal["dist"] = "dist"
    temperature: Temperature = 4.0
    """Divides the logits of both before the softmax; 1 for ImageNet."""
    beta: NonNegativeFloat = 1.0
    """Weight of the relations among the classes of a sample."""
    gamma: NonNegativeFloat = 1.0
    """Weight of the relations among the samples of a class, in the batch."""


class NKDSettings(FromLogits):
    """Normalised distillation: the target's cross-entropy by the teacher's probability, and the
    other classes' cross-entropy, normalised among themselves (Yang et al. 2023, equation 5)."""

    name: Literal["nkd"] = "nkd"
    temperature: Temperature = 1.0
    """Divides the logits of the other classes before their softmax."""
    gamma: NonNegativeFloat = 1.5
    """Weight of the other classes."""


class MLKDSettings(FromLogits):
    """Multi-level logit distillation: each prediction at several temperatures, which predictions of
    a batch are alike, and which classes go together (Jin et al. 2023)."""

    module: ClassVar[str] = "edgekd.distill.mlkd"
    name: Literal["mlkd"] = "mlkd"
    temperatures: Annotated[tuple[PositiveFloat, ...], Field(min_length=1)] = (2, 3, 4, 5, 6)
    """Divide the logits of both before the softmax; the losses are added."""


class CTKDSettings(FromLogits):
    """Curriculum temperature: Hinton's loss at a temperature that learns to make it larger (Li et
    al. 2023)."""

    module: ClassVar[str] = "edgekd.distill.ctkd"
    name: Literal["ctkd"] = "ctkd"
    ce_weight: NonNegativeFloat = 0.1
    """Weight of the loss with the labels."""
    weight: Weight = 0.9
    """Weight of T² KL(teacher ‖ student)."""
    least: PositiveFloat = 1.0
    """The temperature is above this."""
    span: PositiveFloat = 20.0
    """And below the sum of both."""
    reversal_epochs: PositiveInt = 10
    """Epochs until the temperature works against the student with its whole gradient."""


PlainMethod = KDSettings | DKDSettings | DISTSettings | NKDSettings
"""Methods that are a function of the logits and the target."""
LogitMethod = PlainMethod | MLKDSettings | CTKDSettings
NEED_LABELS = (DKDSettings, NKDSettings)
"""Methods that tell the target from the other classes, so that mixed samples do not suit them."""
COMPARE_CLASSES = (DKDSettings, DISTSettings, NKDSettings, MLKDSettings, CTKDSettings)
"""Methods that only classes have."""
