"""Groups: the twenty fixed parts of a list of clips, of which the jackknife leaves one out at a time."""

from __future__ import annotations

import hashlib

GROUPS = 20


def group_of(video: str) -> int:
    """Return the group, 0–19, of a video: the same wherever and in whatever company it is analysed.

    Examples
    --------
    >>> group_of("surfing.mp4") == group_of("surfing.mp4")
    True
    """
    return int.from_bytes(hashlib.sha256(video.encode()).digest()[:8], "big") % GROUPS
