"""Styles: the built-in ones and ONNX networks."""
