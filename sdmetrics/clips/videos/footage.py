"""Footage: a video file or a folder of frames, read by windows; and its optical flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from sdmetrics.clips.clip import Flow, Frames
from sdmetrics.clips.decode import read_image, read_video
from sdmetrics.clips.flow.estimate import estimate_flow
from sdmetrics.clips.flow.folder import flow_file, flow_of_images
from sdmetrics.clips.sampling import Neighbours, Window
from sdmetrics.clips.videos.listing import in_order
from sdmetrics.errors import InputError


@dataclass(frozen=True)
class Footage:
    """A video file or a folder of frames.

    Parameters
    ----------
    read
        Returns the frames of a window.
    stamp
        Tells one content from another.
    images
        The files of a folder of frames, in order.
    given_flow
        Returns the optical flow of a window. Default: it is estimated.
    """

    read: Callable[[Window], Frames]
    stamp: str
    images: tuple[Path, ...] = ()
    given_flow: Callable[[Window], Flow] | None = None

    def loader(self, window: Window) -> Callable[[], Frames]:
        """Bind the video to one window."""
        return lambda: self.read(window)

    def flow(self, window: Window) -> Flow:
        """Return the optical flow of the frames of a window, each to the next of the video."""
        if self.given_flow:
            return self.given_flow(window)
        frames = self.read(Neighbours(**vars(window)))
        return estimate_flow(frames[::2], frames[1::2])

    def with_flow(self, root: Path, name: Path, size: tuple[int, int]) -> Footage:
        """Return the video with flow from the folder `name` below `root`, which has a file for every image."""
        if not self.images:
            raise InputError(
                f"flow is given image by image, and {name} is a video file; give folders of frames, or leave "
                "flow out to estimate it"
            )

        folder = root / name

        def given(window: Window) -> Flow:
            shown = [self.images[index] for index in _indices(window, self.images)]
            return flow_of_images(folder, shown, size, stretched=False)

        first = flow_file(folder, self.images[0])
        source = f"from {root.name}, the first {first.stat().st_size if first else 'missing'}"
        return replace(self, stamp=f"{self.stamp}; flow {source}", given_flow=given)


def video_file(path: Path, size: tuple[int, int]) -> Footage:
    """Return a video file."""
    stamp = str(path.stat().st_size) if path.exists() else "missing"
    return Footage(lambda window: read_video(path, window, size), stamp)


def frame_folder(images: Sequence[Path], size: tuple[int, int]) -> Footage:
    """Return the images of one folder, in natural order, as a video."""
    images = tuple(sorted(images, key=in_order))

    def read(window: Window) -> Frames:
        chosen = _indices(window, images)
        decoded = {i: read_image(images[i], size) for i in set(chosen)}
        return np.stack([decoded[i] for i in chosen])

    return Footage(read, f"{len(images)} frames, the first {images[0].stat().st_size}", images)


def unusable(problem: str) -> Footage:
    """Return a video that says what is wrong when it is read."""

    def refuse(_: Window) -> Frames:
        raise InputError(problem)

    return Footage(refuse, "unusable")


def _indices(window: Window, images: Sequence[Path]) -> list[int]:
    """Return which images a window reads."""
    chosen: list[int] = window.indices(np.arange(len(images), dtype=np.float64)).tolist()
    return chosen
