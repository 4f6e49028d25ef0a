"""Converting Keras and TensorFlow models."""
