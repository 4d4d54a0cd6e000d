"""A trained model that the command line names, as fields of a pipeline file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from edgekd.errors import ConfigError
from edgekd.store import parse_json

HUBS = ("timm:", "torchvision:", "huggingface:")


def teacher_fields(model: str, weights: Path | None) -> dict[str, Any]:
    """MODEL and --weights as `teacher`, with absolute paths.

    Args:
        model: a saved model's folder, an .onnx or .keras file, `file.py:function`,
            `module:function`, or a name that `teacher.model` knows.

    Raises:
        ConfigError: there is no such thing, or it needs weights.
    """
    path = Path(model)
    if path.suffix == ".onnx":
        _refuse_weights(model, weights, "an .onnx file holds its weights")
        if not path.is_file():
            raise ConfigError("There is no such .onnx file.", where=str(path.absolute()))
        return {"onnx": str(path.absolute())}
    if path.suffix == ".keras":
        _refuse_weights(model, weights, "a .keras file holds its weights")
        name = f"keras:{Path(model.removeprefix('keras:')).absolute()}"
        return {"model": {"name": name, "pretrained": True}, "train": None}
    if path.is_dir():
        _refuse_weights(model, weights, "a saved model holds its weights")
        return _saved(path)
    if path.suffix in (".pt", ".pth", ".safetensors"):
        raise ConfigError(
            f"{path.name} holds weights, and not how the network is built.",
            where=model,
            fix="edgekd compress file.py:function --weights x.safetensors --data ...; of a pickle "
            "save the state dict with safetensors.torch.save_file first",
        )
    settings: dict[str, Any] = {"name": model}
    if ":" in model and not model.startswith(HUBS):
        file, _, function = model.rpartition(":")
        is_file = file.endswith(".py")
        settings = {"python": f"{Path(file).absolute()}:{function}" if is_file else model}
    fields: dict[str, Any] = {"model": settings, "train": None}
    if weights is not None:
        if not weights.exists():
            raise ConfigError("There is no such file of weights.", where=str(weights.absolute()))
        fields["weights"] = str(weights.absolute())
    else:
        raise ConfigError(
            f"{model} says how the network is built, and its trained weights are missing.",
            where="MODEL",
            fix="add --weights FILE.safetensors, or give a saved model's folder such as "
            "runs/NAME/teacher-KEY",
        )
    return fields


def _refuse_weights(model: str, weights: Path | None, why: str) -> None:
    if weights is not None:
        raise ConfigError(f"Leave --weights out: {why}.", where=model)


def _saved(folder: Path) -> dict[str, Any]:
    """A saved model: the factory's settings stand in it."""
    description = folder / "model.json"
    if not description.is_file():
        inside = sorted(found.parent for found in folder.glob("*/model.json"))
        hint = f"did you mean {inside[-1]}?" if inside else "give runs/NAME/teacher-KEY"
        raise ConfigError(
            "There is no saved model in this folder.", where=str(folder.absolute()), fix=hint
        )
    try:
        settings = parse_json(description.read_text(encoding="utf-8"))["settings"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError(
            "This saved model cannot be read.", where=f"{description}: {error}"
        ) from error
    factory = settings.get("python") if isinstance(settings, dict) else None
    if factory is not None:
        raise ConfigError(
            "This saved model is built by code, and edgekd runs code only where you name it.",
            where=f"{description}: python: {factory}",
            fix=f"if you trust that code: edgekd compress {factory} --weights {folder}, and its "
            "arguments with --set teacher.model.arguments.NAME=VALUE",
        )
    return {"model": settings, "train": None, "weights": str(folder.absolute())}


def window_of(teacher: dict[str, Any]) -> int | None:
    """Steps of the windows that a saved model takes; None of any other."""
    description = Path(teacher.get("weights") or "") / "model.json"
    if not description.is_file():
        return None
    spec = parse_json(description.read_text(encoding="utf-8"))["spec"]["input"]
    return spec["shape"][1] if spec.get("kind") == "series" else None


def augment_fields(kind: str, shape: tuple[int, ...], samples: int) -> dict[str, Any]:
    """Variations that hardly any data minds, where the user has said none: an image is moved by
    an eighth of its side, a recording by a twentieth of its length. Large sets have few views,
    because the teacher answers each.
    """
    views = 8 if samples <= MANY else 2
    if kind == "image" and min(shape[1:]) >= 8:
        return {"shift": min(shape[1:]) // 8, "views": views}
    if kind == "audio" and shape[1] >= 20:
        return {"time_shift": shape[1] // 20, "views": views}
    return {}


MANY = 5000
"""Training samples of a large set."""
