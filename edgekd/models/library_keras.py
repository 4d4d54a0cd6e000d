"""Keras models: "keras:FILE.keras", or what a `python:` factory returns, as networks of torch."""

from __future__ import annotations

import os
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from edgekd.config.networks import ModelSettings
from edgekd.config.stages import OnnxInput
from edgekd.errors import StageError
from edgekd.models.factory import try_out
from edgekd.models.keras_network import Affine, KerasNetwork
from edgekd.models.keras_plan import Plan, plan_of
from edgekd.models.library import Adapted, Found, failed
from edgekd.models.library_key import keras_file
from edgekd.spec import InputSpec
from edgekd.store import parse_json

MOST_BYTES = 4 << 30
"""Of the archive's content, unpacked."""
ENDS = ("softmax", "sigmoid")
CLOSE = 1e-3
"""How far answers of the translation may be from Keras's own, as a share of the largest."""
PLAN, FRONT = "steps", "front"


def from_keras(
    settings: ModelSettings,
    spec: InputSpec,
    classes: int,
    base: Path | None,
    saved: Mapping[str, Any] | None,
) -> nn.Module:
    """The network of a .keras file: its architecture, and its weights where `pretrained` is true.

    With weights, `arguments` say how the file wants its input, (raw * scale - mean) / std, unless
    its first layer is a Rescaling or a Normalization, which takes raw values.

    Args:
        saved: `Adapted.facts` of a saved network: the file is then not needed, nor Keras.

    Raises:
        StageError: Keras is missing, the file cannot be read or is not trusted, or a layer has no
            translation.
    """
    if saved is not None:
        found = Found(KerasNetwork(saved[PLAN]), facts=saved)
        front: nn.Module = nn.Identity()
        if saved.get(FRONT):
            front = Affine([1.0] * spec.shape[0], [0.0] * spec.shape[0], 1 + len(spec.shape))
        return Adapted(found, front)
    where = f"model {settings.name}"
    path = keras_file(settings, base)
    check_archive(path)
    keras = _keras(where)
    try:
        model = keras.saving.load_model(path, compile=False, safe_mode=True)
    except Exception as error:  # a damaged archive may raise anything
        raise failed(
            str(settings.name), error, "save it again with model.save('x.keras')"
        ) from error
    network = _network(model, spec, classes, where, bool(settings.pretrained))
    front, rescales = nn.Identity(), network.steps[0]["kind"] == "affine"
    if settings.pretrained or rescales:  # a first layer that rescales wants raw values
        front = _front(settings, spec, rescales, where)
    facts = {PLAN: network.steps, FRONT: isinstance(front, Affine)}
    made = Adapted(Found(network, facts=facts), front)
    try_out(made, str(settings.name), spec, classes)
    return made


def is_keras(network: Any) -> bool:
    """Whether somebody's factory returned a Keras model."""
    keras = sys.modules.get("keras")
    return keras is not None and isinstance(network, keras.Model)


def from_keras_model(model: Any, spec: InputSpec, classes: int, where: str) -> nn.Module:
    """A factory's Keras model as a network of torch, with the weights that it has.

    Raises:
        StageError: a layer has no translation.
    """
    return _network(model, spec, classes, where, weights=True)


def _network(model: Any, spec: InputSpec, classes: int, where: str, weights: bool) -> KerasNetwork:
    if not isinstance(spec, InputSpec) or spec.kind not in ("image", "audio", "row"):
        raise StageError(
            "Keras models are translated for images, sounds and rows of numbers.", where=where
        )
    _check_size(model, spec, where)
    plan = plan_of(model, torch.zeros(1, *spec.shape), where)
    _compare(model, plan, spec, where)
    _end(plan, classes, weights, where)
    network = plan.network()
    if not weights:
        for layer in network.modules():
            reset = getattr(layer, "reset_parameters", None)
            if callable(reset):
                reset()
    return network


def _check_size(model: Any, spec: InputSpec, where: str) -> None:
    own = (*spec.shape[1:], spec.shape[0]) if len(spec.shape) == 3 else spec.shape
    shape = tuple(getattr(model, "input_shape", None) or ())[1:]
    fits = len(shape) == len(own) and all(a in (None, b) for a, b in zip(shape, own, strict=True))
    if not fits:
        raise StageError(
            f"The Keras model takes {shape}, channels last, and a sample of the data is {own}.",
            where=where,
            fix="give the data the size that the model was made for (data.size)",
        )


def _compare(model: Any, plan: Plan, spec: InputSpec, where: str) -> None:
    """The translation answers a few samples as Keras does.

    Raises:
        StageError: it does not.
    """
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(2, *spec.shape, generator=generator)
    with torch.no_grad():
        ours = plan.network().eval()(x).numpy()
        last = x.movedim(1, -1) if x.ndim == 4 else x
        from keras import ops  # type: ignore[import-not-found]

        theirs = np.asarray(ops.convert_to_numpy(model(last.numpy(), training=False)))
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > CLOSE * max(
        1.0, float(np.abs(theirs).max())
    ):
        raise StageError(
            "The translation of this Keras model does not answer as Keras does.",
            where=where,
            fix="report it with the model; meanwhile export it to ONNX and give teacher.onnx",
        )


def _end(plan: Plan, classes: int, weights: bool, where: str) -> None:
    """Logits instead of probabilities, one a class of the data.

    A sigmoid of one number becomes the second of two logits, the first of which is 0: their softmax
    is that sigmoid.
    """
    last = plan.steps[-1]
    squashed = last["arguments"].get("name") if last["kind"] == "activation" else None
    if squashed in ENDS:
        plan.steps.pop()
        plan.layers.popitem()
    last = plan.steps[-1]
    if last["kind"] != "dense":
        raise StageError(
            f"The Keras model ends in {last['name']}, and not in a Dense layer of the classes.",
            where=where,
            fix="end it in Dense(classes), with or without a softmax",
        )
    outputs = last["arguments"]["out_features"]
    if outputs == classes:
        return
    key = next(reversed(plan.layers))
    old = plan.layers[key]
    last["arguments"]["out_features"] = classes
    fresh = nn.Linear(old.in_features, classes, bias=old.bias is not None)  # type: ignore[arg-type]
    if weights and classes == 2 and outputs == 1 and squashed in (None, "linear", "sigmoid"):
        state = {name: torch.cat([torch.zeros_like(t), t]) for name, t in old.state_dict().items()}
        fresh.load_state_dict(state)
    plan.layers[key] = fresh


def _front(settings: ModelSettings, spec: InputSpec, rescales: bool, where: str) -> Affine:
    """From what edgekd feeds (standardised) to what the weights were trained on."""
    from pydantic import ValidationError

    try:
        given = OnnxInput.model_validate(settings.arguments)
    except ValidationError as error:
        first = error.errors()[0]
        raise StageError(
            f"{'.'.join(map(str, first['loc']))}: {first['msg']}", where=f"{where}: arguments"
        ) from error
    if not given.scaled and not rescales:
        raise StageError(
            "The file does not tell which values its weights were trained on.",
            where=f"{where}: pretrained",
            fix="say it: arguments: {scale: 0.003921569} for pixels of 0..1, {scale: 1} for raw "
            "values, with mean and std where they were taken off",
        )
    own_mean, own_std = np.asarray(spec.mean, float), np.asarray(spec.std, float)
    mean, std = np.asarray(given.mean or (0.0,)), np.asarray(given.std or (1.0,))
    if {mean.size, std.size} - {1, own_mean.size}:
        raise StageError(
            f"There are {own_mean.size} channels or features, and as many numbers are needed, or "
            "one for all.",
            where=f"{where}: arguments.mean, arguments.std",
        )
    scale = given.scale or 1.0
    factor = np.broadcast_to(own_std * scale / std, own_std.shape)
    offset = np.broadcast_to((own_mean * scale - mean) / std, own_std.shape)
    return Affine(factor.tolist(), offset.tolist(), 1 + len(spec.shape))


def _keras(where: str) -> Any:
    os.environ.setdefault("KERAS_BACKEND", "torch")
    try:
        import keras  # type: ignore[import-not-found]
    except ImportError as error:
        raise StageError(
            f"Keras cannot be imported: {error}", where=where, fix="pip install 'edgekd[keras]'"
        ) from error
    return keras


def check_archive(path: Path) -> None:
    """Looks into a .keras file before Keras does: its configuration may name only Keras's own
    classes, none of which runs code of the file.

    Raises:
        StageError: it is no such archive, too large, or names others.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if sum(member.file_size for member in members) > MOST_BYTES:
                raise StageError("This .keras file is too large.", where=str(path))
            config = parse_json(archive.read("config.json"))
    except (OSError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise StageError(
            "This is no whole .keras file.",
            where=f"{path}: {type(error).__name__}: {error}",
            fix="save it with model.save('x.keras'); an .h5 file is not read",
        ) from error
    for name, module, registered in _classes(config):
        own = module is None or module == "builtins" or module.split(".")[0] == "keras"
        if name in ("Lambda", "TorchModuleWrapper", "TFSMLayer") or not own or registered:
            raise StageError(
                f"This .keras file names {registered or name}, which is not a layer of Keras itself"
                " or runs code of the file's own.",
                where=str(path),
                fix="give the model by a factory of yours: python: file.py:function",
            )


def _classes(value: Any) -> Iterator[tuple[str, str | None, str | None]]:
    """Every class that a configuration names: its name, module and registered name."""
    if isinstance(value, Mapping):
        if isinstance(value.get("class_name"), str):
            registered = value.get("registered_name")
            plain = registered in (None, value["class_name"], "__function__", "function")
            own = isinstance(registered, str) and registered.startswith("keras")
            module = value.get("module")
            yield (
                value["class_name"],
                module if module is None else str(module),
                None if plain or own else str(registered),
            )
        for inner in value.values():
            yield from _classes(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _classes(inner)
