"""The number format that the processor trains in."""

from __future__ import annotations

import platform
from pathlib import Path

import torch

from edgekd.train.precision import effective_precision, has_bfloat16


def test_what_is_asked_for_is_taken():
    assert effective_precision("float32") == "float32"
    assert effective_precision("bfloat16") == "bfloat16"


def test_auto_follows_the_processor():
    expected = "bfloat16" if has_bfloat16() else "float32"
    assert effective_precision("auto") == expected


def test_the_processor_is_read_as_torch_reads_it():
    if torch.cuda.is_available():
        assert has_bfloat16() == torch.cuda.is_bf16_supported(including_emulation=False)
    elif platform.machine() == "x86_64":
        assert has_bfloat16() == torch.cpu._is_avx512_bf16_supported()
    else:
        assert has_bfloat16() == (" bf16" in Path("/proc/cpuinfo").read_text())
