"""The boxes of ISO files (MP4, MOV, HEIF, AVIF): what PyAV does not show of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import BinaryIO

HOLD_BOXES = {b"moov": 0, b"trak": 0, b"meta": 4, b"iprp": 0, b"ipco": 0}
"""Boxes on the way to what is searched, with the bytes before the first box inside."""

OF_FRAMES = (b"moov", b"moof", b"mdat")

MOST_BOXES, DEEPEST = 100_000, 3
"""More than any file has: a fragment of video for every second of a day."""


def is_mirrored(path: Path, track: int) -> bool:
    """Return whether the file says that a track, or its image, is a mirror image."""
    with path.open("rb") as file:
        for kind, start, stop in islice(_boxes(file, 0, path.stat().st_size), MOST_BOXES):
            if kind == b"imir":
                return True
            if kind == b"tkhd" and stop - start >= 84:
                file.seek(start)
                content = file.read(96).ljust(96, b"\0")
                number, matrix = (20, 52) if content[0] else (12, 40)
                if int.from_bytes(content[number : number + 4], "big") == track:
                    a, b, _, c, d = struct.unpack(">5i", content[matrix : matrix + 20])
                    return bool(a * d < b * c)
    return False


def promised_end(path: Path) -> int:
    """Return where the boxes of frames end by their own account, which is behind the end of a truncated file."""
    with path.open("rb") as file:
        boxes = islice(_boxes(file, 0, path.stat().st_size, depth=DEEPEST), MOST_BOXES)
        return max((stop for kind, _, stop in boxes if kind in OF_FRAMES), default=0)


def _boxes(file: BinaryIO, start: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """Yield the kind of every box between two places, and where its content starts and stops."""
    while start + 8 <= end:
        file.seek(start)
        size, kind = struct.unpack(">I4s", file.read(8).ljust(8, b"\0"))
        inside = start + 8
        if size == 1:
            size, inside = int.from_bytes(file.read(8), "big"), start + 16
        stop = start + size if size else end
        if stop < inside:
            return
        yield kind, inside, stop
        if kind in HOLD_BOXES and depth < DEEPEST:
            yield from _boxes(file, inside + HOLD_BOXES[kind], min(stop, end), depth + 1)
        start = stop
