"""The precisions of one network, and their files: what each converter gets, and what torch says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgekd import inputs

if TYPE_CHECKING:
    from torch import nn

    from edgekd.spec import DeployedSpec, ModelSpec, Precision

RANGE_SAMPLES = 128
"""Training samples that show the ranges of int16 activations: LiteRT runs them one by one."""


@dataclass(frozen=True)
class Variant:
    """One precision of the network."""

    precision: Precision
    modules: dict[str, nn.Module]
    """What is converted, by format."""
    reference: nn.Module
    """What the files must answer."""
    plain: nn.Module
    """The network in float32, which onnx2tf converts for every precision."""


def variants(
    precisions: Sequence[Precision],
    quantized: bool,
    network: nn.Module,
    spec: ModelSpec,
    source: Path,
) -> list[Variant]:
    """The precisions to export: int8 first, because its output step judges the others as well,
    then float32, then the others as they are asked for.

    Args:
        quantized: whether `source` holds the quantization-aware form of `network`; there is no
            int8 otherwise, and float32 takes its place where nothing else is asked for.
    """
    found: list[Variant] = []
    network = network.eval()
    if quantized and "int8" in precisions:
        found.append(_int8(network, source))
    others: list[Precision] = [
        each for each in dict.fromkeys(precisions) if each not in ("int8", "float32")
    ]
    if "float32" in precisions or not (found or others):
        found.append(Variant("float32", _both(network), network, network))
    rounded = network
    if set(others) - {"float16"}:
        from edgekd.compress.weights import round_weights

        rounded = round_weights(network, inputs.zeros(spec.input, 2))
    for precision in others:
        module = network if precision == "float16" else rounded
        found.append(Variant(precision, _both(module), _answers(precision, module), network))
    return found


def _int8(network: nn.Module, source: Path) -> Variant:
    from edgekd.compress import quantize
    from edgekd.compress.reference import reference

    prepared = quantize.load(network, source)
    folded = quantize.convert(prepared, fold=True)
    modules: dict[str, nn.Module] = {
        "onnx": folded,
        "tflite": quantize.convert(prepared, fold=False),
    }
    return Variant("int8", modules, reference(folded), network)


def _both(module: nn.Module) -> dict[str, nn.Module]:
    return {"onnx": module, "tflite": module}


def _answers(precision: Precision, module: Any) -> nn.Module:
    """What a file must answer: float16 and int16 round too little to matter."""
    if precision != "int8-dynamic":
        return module
    from edgekd.compress.weights import DynamicallyQuantized

    return DynamicallyQuantized(module)


class Writer:
    """Writes the files of one network; a network that several precisions are made of is converted
    once a format.

    Args:
        samples: gives normalised training samples, for the ranges of int16 activations.
        baked: the files take raw samples; see `edgekd.export.baked`.
    """

    def __init__(
        self, spec: ModelSpec, samples: Callable[[], Any] | None = None, *, baked: bool = False
    ) -> None:
        self.spec = spec
        self.baked = baked
        self.samples = samples
        self._converted: dict[tuple[str, nn.Module], Any] = {}

    def write(self, form: str, variant: Variant, path: Path) -> DeployedSpec:
        """One file, onnx, tflite or ort, and what stands in its metadata; an .ort file is made of
        the .onnx file beside it.

        Raises:
            StageError: the format cannot express the network; the operator is named.
        """
        from edgekd.export import onnx_file, ort_file, tflite_file

        if form == "ort":
            return ort_file.export_ort(path.with_suffix(".onnx"), path)
        module, precision = variant.modules[form], variant.precision
        key = (form, module)
        if form == "onnx":
            if key not in self._converted:
                self._converted[key] = onnx_file.converted(module, self.spec, baked=self.baked)
            return onnx_file.write(
                self._converted[key], self.spec, path, precision=precision, baked=self.baked
            )
        if key not in self._converted:
            integers = precision == "int8"
            self._converted[key] = tflite_file.converted(
                module, self.spec, integers=integers, baked=self.baked
            )
        samples = self.samples() if self.samples and precision == "int16x8" else None
        return tflite_file.write(
            self._converted[key],
            self.spec,
            path,
            precision=precision,
            samples=samples,
            baked=self.baked,
        )
