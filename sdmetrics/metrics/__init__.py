"""The metric: moments of pairs, biases of layers and units, intervals, unit masks. Needs NumPy and Numba only."""
