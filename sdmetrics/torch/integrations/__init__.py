"""For other libraries: a callback for the Trainer of Hugging Face, and a metric for torchmetrics."""
