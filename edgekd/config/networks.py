"""Settings of a network: one of the zoo, of another library, or a factory."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, PositiveFloat, Tag, model_validator

from edgekd.config.base import Settings

ZooName = Literal[
    "resnet8",
    "resnet20",
    "resnet56",
    "mobilenet_v1",
    "mobilenet_v2",
    "mobilenet_v3_small",
    "efficientnet_lite0",
    "shufflenet_v2",
    "vit",
    "dscnn",
    "kws_dscnn",
    "mlp",
    "tablemlp",
    "cnn1d",
]
LibraryName = Annotated[str, Field(pattern=r"^(timm|torchvision|huggingface|keras):\S+$")]
NetworkName = Annotated[
    Annotated[ZooName, Tag("zoo")] | Annotated[LibraryName, Tag("library")],
    Discriminator(lambda value: "library" if ":" in str(value) else "zoo"),
]


def network_of(text: str) -> dict[str, Any]:
    """`resnet20 x 0.5`, as tables write it, as settings."""
    name, times, width = text.partition(" x ")
    return {"name": name.strip(), **({"width": width.strip()} if times else {})}


class ModelSettings(Settings):
    """A network: one of the zoo, one of another library, or your own factory."""

    name: NetworkName | None = None
    """A network of the zoo, or one of a library that is installed: `timm:NAME`,
    `torchvision:NAME`, `huggingface:NAME` of the Hub or `huggingface:./folder`, or
    `keras:FILE.keras`."""
    pretrained: bool | str = False
    """Start from the library's weights: `true` where it publishes safetensors, or a
    `.safetensors` file of them. The classifier starts fresh if it has other classes."""
    width: PositiveFloat = 1.0
    """Multiplies the number of channels of each layer (rounded to a multiple of 8, at least 8)."""
    python: str | None = None
    """Your own factory instead of `name`, as "module:function" or "file.py:function". It is
    called as function(spec: edgekd.spec.InputSpec, classes: int, **arguments) and returns a
    torch.nn.Module from (N, *spec.shape) to logits (N, classes)."""
    arguments: dict[str, Any] = Field(default_factory=dict)
    """Further arguments of the `python` factory, or of the library's."""

    @model_validator(mode="after")
    def _one_of(self) -> ModelSettings:
        if (self.name is None) == (self.python is None):
            raise ValueError("give either `name` or `python`")
        if self.python is not None and ":" not in self.python:
            raise ValueError("`python` is written module:function")
        if self.pretrained and ":" not in (self.name or ""):
            raise ValueError(
                "`pretrained` is for timm:, torchvision:, huggingface: and keras: networks"
            )
        if isinstance(self.pretrained, str) and not self.pretrained.endswith(".safetensors"):
            raise ValueError(
                "`pretrained` is true, false or a .safetensors file: edgekd unpickles none"
            )
        if (self.name or "").startswith("keras:") and isinstance(self.pretrained, str):
            raise ValueError("a .keras file holds its weights: `pretrained` is true or false")
        if self.width != 1 and ":" in (self.name or ""):
            raise ValueError("`width` is for networks of the zoo")
        return self

    @property
    def label(self) -> str:
        """The network in a few words, for tables."""
        if self.name is None:
            return str(self.python)
        return self.name if self.width == 1 else f"{self.name} x {self.width:g}"
