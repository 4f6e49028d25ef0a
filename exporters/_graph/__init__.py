"""Reading ONNX graphs: nodes, axes, layers, inputs."""
