"""What the stages of a run load when they need it: who forks runs loads it once, before."""

from __future__ import annotations

LIBRARIES = (
    "torch._dynamo",
    "torchmetrics.functional",
    "torch_pruning",
    "torchao.quantization.pt2e.quantize_pt2e",
    "onnxscript",
    "onnxruntime",
    "torch.onnx",
    "ai_edge_litert.interpreter",
    "litert_torch",
    "matplotlib.figure",
)
