"""Read ONNX graphs: nodes, axes, layers, inputs."""
