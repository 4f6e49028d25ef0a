"""The vocabulary: the factors, and the classes that a unit can be in."""

FACTORS = ("dynamic", "static")
"""What the two views of a pair can share (paper, Sec. 3.1)."""

UNIT_CLASSES = ("dynamic", "static", "joint", "residual")
"""Every unit is in exactly one (Eq. 3)."""

COUNTS = (*UNIT_CLASSES, "dead")
"""What is counted per layer: dead units are also counted as residual."""

PERCENTS = (*FACTORS, "identical")
"""What a layer's percents are of (Eq. 1)."""
