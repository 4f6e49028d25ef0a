"""An AVIF image in tiles, as phones store HEIC: FFmpeg shows every tile as a video stream of its own."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image


def write_tiles(path: Path, tiles: Sequence[NDArray[np.uint8]]) -> Path:
    """Write tiles of one size, `(h, w, 3)`, side by side as one image."""
    encoded = [_encoded(tile) for tile in tiles]
    height, width, _ = tiles[0].shape
    numbers = range(1, 2 + len(tiles))
    grid = struct.pack(">4BHH", 0, 0, 0, len(tiles) - 1, len(tiles) * width, height)
    contents = [grid, *(_box_in(image, b"mdat")[8:] for image in encoded)]
    entries = (_full(b"infe", struct.pack(">HH4sx", i, 0, b"grid" if i == 1 else b"av01"), version=2) for i in numbers)
    items = _full(b"iinf", struct.pack(">H", len(numbers)), *entries)
    tiles_of = struct.pack(f">HH{len(tiles)}H", 1, len(tiles), *numbers[1:])
    sizes = (_full(b"ispe", struct.pack(">II", *size)) for size in ((len(tiles) * width, height), (width, height)))
    properties = _box(b"ipco", *sizes, _box_in(encoded[0], b"av1C"), _box_in(encoded[0], b"pixi"))
    uses = [struct.pack(">HBBB", 1, 2, 1, 4), *(struct.pack(">HBBBB", i, 3, 2, 0x83, 4) for i in numbers[1:])]
    used = _full(b"ipma", struct.pack(">I", len(uses)), *uses)

    def meta(start: int) -> bytes:
        places = b""
        for number, content in zip(numbers, contents, strict=True):
            places += struct.pack(">HHHII", number, 0, 1, start, len(content))
            start += len(content)
        return _full(
            b"meta",
            _full(b"hdlr", struct.pack(">I4s13x", 0, b"pict")),
            _full(b"pitm", struct.pack(">H", 1)),
            _full(b"iloc", struct.pack(">BBH", 0x44, 0, len(numbers)), places),
            items,
            _full(b"iref", _box(b"dimg", tiles_of)),
            _box(b"iprp", properties, used),
        )

    head = _box(b"ftyp", b"avif\0\0\0\0avifmif1miaf")
    path.write_bytes(head + meta(len(head) + len(meta(0)) + 8) + _box(b"mdat", *contents))
    return path


def _encoded(tile: NDArray[np.uint8]) -> bytes:
    """Return a tile as an AVIF file of its own."""
    file = io.BytesIO()
    Image.fromarray(tile).save(file, "avif", quality=95)
    return file.getvalue()


def _box(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def _full(kind: bytes, *parts: bytes, version: int = 0) -> bytes:
    return _box(kind, struct.pack(">I", version << 24), *parts)


def _box_in(file: bytes, kind: bytes) -> bytes:
    """Return the first box of a kind, wherever it is in a file."""
    start = file.index(kind) - 4
    return file[start : start + struct.unpack(">I", file[start : start + 4])[0]]
