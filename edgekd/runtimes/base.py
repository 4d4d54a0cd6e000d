"""What every runtime can do."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgekd.spec import DeployedSpec


class Runtime(Protocol):
    """A deployed model, ready to run."""

    @property
    def name(self) -> str:
        """`onnxruntime` or `litert`."""
        ...

    @property
    def version(self) -> str:
        """Version of the runtime's library."""
        ...

    def describe(self) -> DeployedSpec | None:
        """What the file tells about itself; None for a file that edgekd did not export."""
        ...

    def run(self, x: Any) -> NDArray[np.float32]:
        """Logits (B, C) of normalised samples (B, *shape), channels first, or of several inputs a
        dictionary of such arrays by name.

        An int8 file's input is quantized and its output dequantized on the way.

        Raises:
            DataError: the samples do not fit the model.
        """
        ...

    def run_integers(self, x: Any) -> NDArray[np.int8]:
        """The integers (B, C) of an int8 file's output for the same samples.

        Raises:
            DataError: the samples do not fit the model, or its output is not int8.
        """
        ...
