"""Footage: a video file or a folder of frames, read by windows; and the optical flow estimated from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sdmetrics.clips.clip import Flow, Frames
from sdmetrics.clips.flow import estimate_flow
from sdmetrics.clips.listing import in_order
from sdmetrics.clips.video import read_image, read_video
from sdmetrics.clips.window import Neighbours, Window
from sdmetrics.errors import InputError


@dataclass(frozen=True)
class Footage:
    """A video file or a folder of frames; `length` counts frames where that is known without decoding."""

    read: Callable[[Window], Frames]
    stamp: str
    length: int | None = None

    def loader(self, window: Window) -> Callable[[], Frames]:
        """Bind the video to one window."""
        return lambda: self.read(window)

    def flow(self, window: Window) -> Flow:
        """Estimate the optical flow of the frames of a window, each to the next of the video."""
        frames = self.read(Neighbours(**vars(window)))
        return estimate_flow(frames[::2], frames[1::2])


def video_file(path: Path, size: tuple[int, int]) -> Footage:
    """Return a video file."""
    stamp = str(path.stat().st_size) if path.exists() else "missing"
    return Footage(lambda window: read_video(path, window, size), stamp)


def frame_folder(images: Sequence[Path], size: tuple[int, int]) -> Footage:
    """Return the images of one folder, in natural order, as a video."""
    images = sorted(images, key=in_order)

    def read(window: Window) -> Frames:
        chosen = window.indices(np.arange(len(images), dtype=np.float64)).tolist()
        decoded = {i: read_image(images[i], size) for i in set(chosen)}
        return np.stack([decoded[i] for i in chosen])

    return Footage(read, f"{len(images)} frames, the first {images[0].stat().st_size}", len(images))


def unusable(problem: str) -> Footage:
    """Return a video that says what is wrong when it is read."""

    def refuse(_: Window) -> Frames:
        raise InputError(problem)

    return Footage(refuse, "unusable")
