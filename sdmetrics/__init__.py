"""Does a video model look at motion, or only at single frames? Static and dynamic bias, by layer and unit."""

__version__ = "0.1.0"
