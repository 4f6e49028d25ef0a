"""Small videos whose every frame tells its own number, written by PyAV: good ones and broken ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

BITS = 8
"""A frame shows its number in binary: a row of this many bright or dark fields over their opposites."""


def numbered(number: int, height: int = 64, width: int = 128) -> NDArray[np.uint8]:
    """Draw a frame that shows its number."""
    bits = [number >> bit & 1 for bit in range(BITS)]
    rows = np.array([bits, [1 - bit for bit in bits]], np.uint8) * 200 + 28
    frame = np.kron(rows, np.ones((height // 2, width // BITS), np.uint8))
    return np.repeat(frame[..., None], 3, axis=-1)


def number_of(frame: NDArray[np.uint8]) -> int:
    """Read the number of a frame."""
    height, width, _ = frame.shape
    squares = frame[height // 4, width // (2 * BITS) :: width // BITS].mean(axis=-1) > 128
    return int(sum(int(bit) << place for place, bit in enumerate(squares)))


def numbers_of(frames: NDArray[np.uint8]) -> list[int]:
    """Read the numbers of the frames of a clip."""
    return [number_of(frame) for frame in frames]


def write_video(
    path: Path,
    frames: int | Sequence[NDArray[np.uint8]] = 60,
    codec: str = "libx264",
    options: Mapping[str, str] | None = None,
    container: Mapping[str, str] | None = None,
    ticks: Sequence[int] | None = None,
    rotation: float | None = None,
    mirrored: bool = False,
) -> Path:
    """Write a video of 25 frames a second; `ticks` gives every frame a time of its own, in 1/25 s."""
    pictures = [numbered(number) for number in range(frames)] if isinstance(frames, int) else frames
    with av.open(str(path), "w", options=dict(container or {})) as file:
        stream = file.add_stream(codec, rate=25, options=dict(options or {}))
        stream.height, stream.width, _ = pictures[0].shape
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        if rotation is not None:
            stream.set_display_rotation(rotation, hflip=mirrored)
        for place, picture in enumerate(pictures):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = place if ticks is None else ticks[place]
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def write_audio(path: Path) -> Path:
    """Write half a second of sound without pictures."""
    with av.open(str(path), "w") as file:
        stream = file.add_stream("aac", rate=16000, layout="mono")
        for start in range(0, 8192, 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16000, start
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


def truncated(path: Path, target: Path, part: float) -> Path:
    """Copy the first part of a file."""
    content = path.read_bytes()
    target.write_bytes(content[: int(len(content) * part)])
    return target


def damaged(path: Path, target: Path, places: Sequence[float]) -> Path:
    """Copy a file and overwrite 16 bytes at each of some places, given as parts of its length."""
    content = bytearray(path.read_bytes())
    for place in places:
        start = int(len(content) * place)
        content[start : start + 16] = bytes(255 - byte for byte in content[start : start + 16])
    target.write_bytes(content)
    return target
