"""Clips: sampled stretches of video, where they come from and how their views are rendered.

Importing it loads only NumPy. Decoding (`av`) and styling (`cv2`) are imported where they are used.
"""

from sdmetrics.clips.clip import Clip, Frames

__all__ = ["Clip", "Frames"]
