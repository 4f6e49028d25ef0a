"""Built-in styles and styles from ONNX networks."""
