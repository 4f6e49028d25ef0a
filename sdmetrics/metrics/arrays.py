"""The array type that the metric computes with."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
