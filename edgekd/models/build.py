"""A network from its settings: one of the zoo, or the user's own factory."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from edgekd.config.networks import ModelSettings, ZooName
from edgekd.errors import StageError
from edgekd.models.factory import from_factory
from edgekd.models.python_source import python_source
from edgekd.spec import Inputs, InputSpec, NamedInputs

if TYPE_CHECKING:
    from torch import nn

__all__ = ["build", "names", "python_source"]

RESNET_BLOCKS = {"resnet8": 1, "resnet20": 3, "resnet56": 9}
LEAST_SIDE = 4
"""Shortest side of an image, in pixels, that is more than a point at the end of a ResNet."""


def names() -> tuple[str, ...]:
    """Names of the zoo."""
    return get_args(ZooName)


def build(
    settings: ModelSettings,
    spec: Inputs,
    classes: int,
    base: Path | None = None,
    saved: Mapping[str, Any] | None = None,
) -> nn.Module:
    """A network with fresh weights, drawn from torch's global generator, or a pretrained one.

    Args:
        spec: the input; the network maps (N, *spec.shape) to logits (N, classes). Of several
            inputs, the network gets each by position.
        base: the folder that the path of a `python:` factory starts from; by default the
            working folder.
        saved: what a saved network of another library keeps to be built again; its pretrained
            weights are then not fetched.

    Raises:
        StageError: the network cannot take such an input, or the factory does not work.
    """
    if settings.python is not None:
        return from_factory(settings.python, settings.arguments, spec, classes, base)
    name = str(settings.name)
    if name == "tablemlp":
        return _of_tables(spec, classes, settings.width)
    if isinstance(spec, NamedInputs):
        raise _one_input(name, spec)
    if ":" in name:
        from edgekd.models.library import from_library

        return from_library(settings, spec, classes, base, saved)
    if name == "mlp":
        from edgekd.models.mlp import MLP

        return MLP(spec.shape, classes, settings.width)
    if name == "cnn1d":
        return _of_series(spec, classes, settings.width)
    _check_image(name, spec)
    return _of_images(name, spec.shape, classes, settings.width)


def _of_images(name: str, shape: tuple[int, ...], classes: int, width: float) -> nn.Module:
    """A network of the zoo for images or sounds (C, H, W)."""
    from edgekd.models.dscnn import DSCNN
    from edgekd.models.efficientnet_lite import EfficientNetLite0
    from edgekd.models.kws_dscnn import KeywordDSCNN
    from edgekd.models.mobilenet_v1 import MobileNetV1
    from edgekd.models.mobilenet_v2 import MobileNetV2
    from edgekd.models.mobilenet_v3 import MobileNetV3Small
    from edgekd.models.resnet import ResNet
    from edgekd.models.shufflenet_v2 import ShuffleNetV2
    from edgekd.models.vit import ViT

    inputs, height, wide = shape
    if name in RESNET_BLOCKS:
        return ResNet(RESNET_BLOCKS[name], inputs, classes, width)
    of_size: dict[str, Callable[[int, tuple[int, int], int, float], nn.Module]] = {
        "kws_dscnn": KeywordDSCNN,
        "vit": ViT,
    }
    if name in of_size:
        return of_size[name](inputs, (height, wide), classes, width)
    of_side: dict[str, Callable[[int, int, int, float], nn.Module]] = {
        "dscnn": DSCNN,
        "mobilenet_v1": MobileNetV1,
        "mobilenet_v2": MobileNetV2,
        "mobilenet_v3_small": MobileNetV3Small,
        "efficientnet_lite0": EfficientNetLite0,
        "shufflenet_v2": ShuffleNetV2,
    }
    return of_side[name](inputs, min(height, wide), classes, width)


def _of_tables(spec: Inputs, classes: int, width: float) -> nn.Module:
    from edgekd.models.tablemlp import TableMLP

    kinds = tuple(part.kind for part in spec.inputs)
    if kinds not in (("row",), ("codes",), ("row", "codes")):
        raise StageError(
            f"tablemlp looks at rows of a table, and the samples are {', '.join(kinds)}.",
            where="model tablemlp",
            fix="model: mlp, or a network for images",
        )
    numbers = spec.inputs[0].shape[0] if kinds[0] == "row" else 0
    sizes = tuple(len(values) + 1 for values in spec.inputs[-1].vocabulary)
    return TableMLP(numbers, sizes, classes, width)


def _of_series(spec: InputSpec, classes: int, width: float) -> nn.Module:
    from edgekd.models.cnn1d import CNN1D

    if spec.kind != "series":
        raise StageError(
            f"cnn1d looks at windows of a signal, and the samples are of the kind {spec.kind}.",
            where="model cnn1d",
            fix="model: mlp for rows, or a network for images; or data.source: series",
        )
    inputs, length = spec.shape
    return CNN1D(inputs, length, classes, width)


def _one_input(name: str, spec: NamedInputs) -> StageError:
    return StageError(
        f"{name} takes one input, and the samples have {len(spec.inputs)}: "
        f"{', '.join(part.name for part in spec.inputs)}.",
        where=f"model {name}",
        fix="model: tablemlp for a table, or your own factory (python:)",
    )


def _check_image(name: str, spec: InputSpec) -> None:
    if spec.kind == "row":
        raise StageError(
            f"{name} looks at images, and the samples are rows of {spec.shape[0]} numbers.",
            where=f"model {name}",
            fix="model: mlp",
        )
    if spec.kind == "series":
        raise StageError(
            f"{name} looks at images, and the samples are windows of {spec.shape[0]} channels.",
            where=f"model {name}",
            fix="model: cnn1d",
        )
    if min(spec.shape[1:]) < LEAST_SIDE:
        height, width = spec.shape[1:]
        raise StageError(
            f"{name} needs images of {LEAST_SIDE} x {LEAST_SIDE} pixels or more, "
            f"and these are {height} x {width}.",
            where=f"model {name}",
            fix="model: mlp",
        )
