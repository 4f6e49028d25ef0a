"""The metric: moments of pairs, biases of layers and units, intervals, unit masks. Requires only NumPy and Numba."""
