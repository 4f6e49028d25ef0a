"""Which way up a frame is shown, whether a container, a codec or Exif tells.

PyAV's list of a frame's side data must not be touched: it does not know Exif, and frees the name of a colour profile
twice. It does give the angle. Whether a frame is mirrored, too, is read from where it was written.
"""

from __future__ import annotations

import struct
from fractions import Fraction
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from av import VideoFrame

MIRRORED = (2, 4, 5, 7)
"""The orientations of Exif, 1 to 8, that are mirror images."""

ORIENTATION = 0x0112
"""The tag of Exif that holds the orientation."""


def quarter_turns(frame: VideoFrame) -> int:
    """Return how many quarter turns, counter-clockwise, bring a frame upright: 0 to 3."""
    return round(frame.rotation / 90) % 4


def upright(image: NDArray[np.uint8], turns: int, mirrored: bool) -> NDArray[np.uint8]:
    """Return an image `(h, w, 3)` the way up it is shown.

    Examples
    --------
    >>> stored = np.arange(6, dtype=np.uint8).reshape(2, 3, 1)
    >>> upright(stored, 1, mirrored=False)[..., 0].tolist()
    [[2, 5], [1, 4], [0, 3]]
    """
    return np.ascontiguousarray(np.rot90(image[::-1] if mirrored else image, turns))


def is_mirror_image(frame: VideoFrame, of_container: bool) -> bool:
    """Return whether a frame is mirrored, by its Exif or, if it has none, as the container says."""
    orientation = exif_orientation(frame)
    return of_container if orientation is None else orientation in MIRRORED


def exif_orientation(frame: VideoFrame) -> int | None:
    """Return the orientation of a frame that has Exif, 1 to 8, as FFmpeg writes it into a PNG; else None."""
    from av import CodecContext

    small = frame.reformat(width=8, height=8, format="rgb24", interpolation="POINT")
    writer: Any = CodecContext.create("png", "w")
    writer.width, writer.height, writer.pix_fmt, writer.time_base = 8, 8, "rgb24", Fraction(1)
    image = b"".join(map(bytes, writer.encode(small)))
    place = 8
    while place + 8 <= len(image):
        length, kind = struct.unpack(">I4s", image[place : place + 8])
        if kind == b"eXIf":
            return _orientation(image[place + 8 : place + 8 + length])
        place += 12 + length
    return None


def _orientation(exif: bytes) -> int:
    """Return the orientation in Exif, 1 where there is none."""
    order = ">" if exif.startswith(b"MM") else "<"
    (start,) = struct.unpack(order + "I", exif[4:8])
    (count,) = struct.unpack(order + "H", exif[start : start + 2])
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, _, _, value = struct.unpack(order + "HHIH", exif[entry : entry + 10])
        if tag == ORIENTATION:
            return int(value)
    return 1
