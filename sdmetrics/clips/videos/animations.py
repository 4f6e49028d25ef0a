"""Animated images: PNG and WebP files that hold a video and look like a single frame."""

from __future__ import annotations

import io
from pathlib import Path
from typing import BinaryIO

from sdmetrics._text import printable
from sdmetrics.errors import InputError

PNG = b"\x89PNG\r\n\x1a\n"
WEBP_ANIMATION = 0x02
"""The flag of the extended WebP header that says that there are several frames."""

MOST_CHUNKS = 64
"""Chunks of a PNG that are looked at; those before the image are fewer than twenty."""


def is_animated(path: Path) -> bool:
    """Return whether a PNG or WebP file holds several frames, as its header says. Nothing is decoded.

    Examples
    --------
    >>> is_animated(Path("gone.png"))
    False
    """
    return path.suffix.lower() in (".png", ".webp") and (_is_animated_png(path) or is_animated_webp(path))


def is_animated_webp(path: Path) -> bool:
    """Return whether a file is an animated WebP, which FFmpeg does not read.

    Examples
    --------
    >>> is_animated_webp(Path("gone.webp"))
    False
    """
    with _opened(path) as file:
        head = file.read(21)
    return head[:4] == b"RIFF" and head[8:16] == b"WEBPVP8X" and bool(head[20:] and head[20] & WEBP_ANIMATION)


def check_readable(path: Path) -> None:
    """Raise an `InputError` if a video is an animated WebP."""
    if path.suffix.lower() == ".webp" and is_animated_webp(path):
        raise InputError(
            f"{printable(path)} is an animated WebP, which FFmpeg does not read; convert it to a GIF, an animated PNG "
            "or a video"
        )


def check_still(path: Path) -> None:
    """Raise an `InputError` if a frame is an animation, of which only the first image would be read."""
    if is_animated(path):
        raise InputError(
            f"{printable(path)} is an animated image among single frames; keep animations in a folder of their own"
        )


def _is_animated_png(path: Path) -> bool:
    """Look for the chunk that announces an animation, which stands before the first image's data."""
    with _opened(path) as file:
        if file.read(len(PNG)) != PNG:
            return False
        for _ in range(MOST_CHUNKS):
            length, kind = int.from_bytes(file.read(4)), file.read(4)
            if kind in (b"", b"IDAT", b"acTL"):
                return kind == b"acTL"
            file.seek(length + 4, io.SEEK_CUR)
    return False


def _opened(path: Path) -> BinaryIO:
    """Open an ordinary file; return an empty one if there is none or it cannot be read, which decoding reports."""
    try:
        return path.open("rb") if path.is_file() else io.BytesIO()
    except OSError:
        return io.BytesIO()
