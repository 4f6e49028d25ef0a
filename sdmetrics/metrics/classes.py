"""The names of factors and unit classes."""

FACTORS = ("dynamic", "static")
"""The factors that the two views of a pair can share (paper, Sec. 3.1)."""

UNIT_CLASSES = ("dynamic", "static", "joint", "residual")
"""The classes of units. Every unit is in exactly one (Eq. 3)."""

COUNTS = (*UNIT_CLASSES, "dead")
"""The unit counts of a layer. Dead units are also counted as residual."""

PERCENTS = (*FACTORS, "identical")
"""The percentages of a layer (Eq. 1)."""
