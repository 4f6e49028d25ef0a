"""Clips: sampled stretches of video, where they come from and how their views are rendered.

This package's face imports NumPy alone; decoding (`av`) and styling (`cv2`) are imported where they are used.
"""

from sdmetrics.clips.clip import Clip, Frames

__all__ = ["Clip", "Frames"]
