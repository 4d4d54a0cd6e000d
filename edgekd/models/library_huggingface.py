"""Classifiers of Hugging Face's transformers, of the Hub or of a folder.

Only safetensors are read. A folder holds config.json and, for pretrained weights,
model.safetensors and preprocessor_config.json, as `save_pretrained` of model and image processor
write them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from edgekd.config.stages import ModelSettings
from edgekd.errors import StageError
from edgekd.models.library import (
    BYTE,
    Found,
    Normalisation,
    Rescaled,
    check_fresh,
    failed,
    require,
)
from edgekd.models.library_key import local_folder
from edgekd.spec import InputSpec

SPECTROGRAMS = "audio-spectrogram-transformer"
"""The one kind of audio network that takes spectrograms, as edgekd feeds them."""
SPECTROGRAM_STD = 0.5
"""Its spectrograms are standardised to this deviation (Gong et al. 2021, section 2.1)."""


def from_huggingface(
    name: str,
    settings: ModelSettings,
    spec: InputSpec,
    classes: int,
    base: Path | None,
    saved: Mapping[str, Any] | None,
) -> Found:
    """An image classifier, or an audio spectrogram transformer for sounds."""
    transformers = require("huggingface")
    if isinstance(settings.pretrained, str):
        raise StageError(
            "Networks of Hugging Face take their weights from the Hub or from a folder.",
            where=f"model huggingface:{name}: pretrained",
            fix="pretrained: true, and the name ./folder for files of your own",
        )
    transformers.utils.logging.set_verbosity_error()  # what does not fit is an error of ours
    transformers.utils.logging.disable_progress_bar()
    folder = local_folder(name, base) if saved is None else None
    source = {
        "pretrained_model_name_or_path": str(folder or name),
        "local_files_only": folder is not None,
        "trust_remote_code": False,
    }
    full = f"huggingface:{name}"
    pretrained = settings.pretrained and saved is None
    try:
        if saved is not None:
            config = transformers.CONFIG_MAPPING[saved["config"]["model_type"]].from_dict(
                dict(saved["config"])
            )
        else:
            config = transformers.AutoConfig.from_pretrained(**source)
            _adapt(config, settings, spec, classes)
        _check_kind(config, spec, full)
        auto = getattr(
            transformers,
            "AutoModelForAudioClassification"
            if spec.kind == "audio"
            else "AutoModelForImageClassification",
        )
        if not pretrained:
            network = auto.from_config(config, attn_implementation="eager")
        else:
            network, told = auto.from_pretrained(
                **source,
                config=config,
                use_safetensors=True,
                ignore_mismatched_sizes=True,
                output_loading_info=True,
                attn_implementation="eager",
            )
            fresh = [key if isinstance(key, str) else key[0] for key in _fresh(told)]
            shapes = {key: tuple(v.shape) for key, v in network.state_dict().items()}
            check_fresh(full, {key: shapes.get(key) for key in fresh}, classes)
    except StageError:
        raise
    except Exception as error:  # a library may raise anything
        raise failed(
            full, error, "name a model of the Hub, or ./folder, that has .safetensors weights"
        ) from error
    facts = {"config": config.to_dict()}
    call = _sounds if spec.kind == "audio" else _pictures
    normalisation = _normalisation(transformers, source, spec, full) if pretrained else None
    return Found(network.train(), normalisation, call, facts)


def _fresh(told: Mapping[str, Any]) -> list[Any]:
    return [*sorted(told["missing_keys"]), *told["mismatched_keys"]]


def _adapt(config: Any, settings: ModelSettings, spec: InputSpec, classes: int) -> None:
    """Writes the data's classes into the configuration, and without weights its shape as well."""
    config.num_labels = classes
    for key, value in settings.arguments.items():
        setattr(config, key, value)
    if spec.kind == "audio":
        config.max_length, config.num_mel_bins = spec.shape[1:]
    elif not settings.pretrained:
        config.num_channels = spec.shape[0]
        if hasattr(config, "image_size"):
            height, width = spec.shape[1:]
            config.image_size = height if height == width else (height, width)


def _check_kind(config: Any, spec: InputSpec, name: str) -> None:
    if (spec.kind == "audio") != (config.model_type == SPECTROGRAMS):
        wanted = "audio spectrogram transformers" if spec.kind == "audio" else "image classifiers"
        raise StageError(
            f"This is a {config.model_type} network, and {spec.kind} samples take {wanted}.",
            where=f"model {name}",
        )


def _pictures(network: nn.Module, x: Tensor) -> Tensor:
    return network(pixel_values=x).logits


def _sounds(network: nn.Module, x: Tensor) -> Tensor:
    return network(input_values=x.squeeze(1)).logits


def _normalisation(
    transformers: Any, source: Mapping[str, Any], spec: InputSpec, name: str
) -> Normalisation | Rescaled:
    """What the image processor does with pixels, read from preprocessor_config.json.

    Raises:
        StageError: there is none, so that nobody knows what the weights expect.
    """
    if spec.kind == "audio":
        return Rescaled(SPECTROGRAM_STD)
    read = transformers.ImageProcessingMixin.get_image_processor_dict
    try:
        told, _ = read(
            source["pretrained_model_name_or_path"], local_files_only=source["local_files_only"]
        )
    except Exception as error:
        raise failed(
            name, error, "add preprocessor_config.json: it says how its inputs are normalised"
        ) from error
    scale = told.get("rescale_factor", 1 / BYTE) if told.get("do_rescale", True) else 1.0
    if not told.get("do_normalize", True):
        return Normalisation((0.0,) * 3, (1.0,) * 3, scale)
    if "image_mean" not in told or "image_std" not in told:
        raise StageError(
            "preprocessor_config.json does not say how pixels are normalised.",
            where=f"model {name}",
            fix="add image_mean and image_std, or do_normalize: false",
        )
    return Normalisation(tuple(told["image_mean"]), tuple(told["image_std"]), scale)
