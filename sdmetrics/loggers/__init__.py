"""Writing measurements to TensorBoard, Weights & Biases, MLflow, trackio, or a service of your own."""
