"""Any ONNX file to a probe, and the exporters that make such files."""
