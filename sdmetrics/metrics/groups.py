"""Groups: 20 fixed parts of a list of clips. The jackknife leaves out one group at a time."""

from __future__ import annotations

import hashlib

from sdmetrics.errors import InputError

GROUPS = 20


def group_of(video: str) -> int:
    """Return the group of a video, 0 to 19. It depends only on the video's id.

    Examples
    --------
    >>> group_of("surfing.mp4") == group_of("surfing.mp4")
    True
    """
    if not isinstance(video, str):
        raise InputError(f"video is a {type(video).__name__}; expected: the id of a video, a text")
    # A file's name that is no UTF-8 has surrogates.
    return int.from_bytes(hashlib.sha256(video.encode(errors="surrogatepass")).digest()[:8], "big") % GROUPS
