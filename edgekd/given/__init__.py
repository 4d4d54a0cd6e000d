"""Models that nobody here trained: `edgekd quantize` for an ONNX file of any origin."""
