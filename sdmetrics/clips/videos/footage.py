"""Footage: a video file or a folder of frames, read by windows; and its optical flow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from sdmetrics._text import printable
from sdmetrics.clips.clip import Flow, Frames
from sdmetrics.clips.decode import frame_count, read_image, read_video
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.estimate import estimate_flow
from sdmetrics.clips.flow.folder import flow_files, flow_of_images
from sdmetrics.clips.flow.grey_images import FlowImages
from sdmetrics.clips.sampling import Neighbours, Window, following
from sdmetrics.clips.stamps import content_stamp
from sdmetrics.clips.videos.animations import check_readable, check_still
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
        Returns what identifies the content that a window reads.
    images
        The files of a folder of frames, in order.
    given_flow
        Returns the optical flow of a window. Default: it is estimated.
    beside
        The grey images of flow among the images, if there are any; they are the flow only of `with_images`.
    problem
        Why it cannot be read, if that is known.
    file
        The video file, if it is one.
    """

    read: Callable[[Window], Frames]
    stamp: Callable[[Window], str]
    images: tuple[Path, ...] = ()
    given_flow: Callable[[Window], Flow] | None = None
    beside: FlowImages | None = None
    problem: str = ""
    file: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """What the video is read from."""
        return self.images if self.file is None else (self.file,)

    def loader(self, window: Window) -> Callable[[], Frames]:
        """Return a function that reads the frames of one window."""
        return lambda: self.read(window)

    def length(self) -> int:
        """Return the number of frames; those of a video file are counted, whatever its header says."""
        return len(self.images) if self.file is None else frame_count(self.file)

    def flow(self, window: Window) -> Flow:
        """Return the optical flow of the frames of a window, each to the next of the video."""
        if self.given_flow:
            return self.given_flow(window)
        frames = self.read(Neighbours(**vars(window)))
        return estimate_flow(frames[::2], frames[1::2])

    def with_flow(self, root: Path, name: Path, fit: Fit) -> Footage:
        """Return the video with flow from the folder `name` below `root`, which has a file for every image."""
        if self.problem:
            return self
        if not self.images:
            raise InputError(
                f"flow is given image by image, and {printable(name)} is a video file; use folders of frames, or leave "
                "flow out to estimate it"
            )
        folder = root / name

        def files(chosen: Sequence[int]) -> Sequence[Path]:
            return flow_files(folder, [self.images[index] for index in chosen])

        def flow(chosen: Sequence[int]) -> Flow:
            return flow_of_images(folder, [self.images[index] for index in chosen], fit)

        return self._with_given(root.name, files, flow)

    def with_images(self, images: FlowImages, fit: Fit) -> Footage:
        """Return the video with the flow that grey images show."""

        def files(chosen: Sequence[int]) -> Sequence[Path]:
            return [file for index in chosen for file in images.of_frame(self.images, index)]

        return self._with_given("images", files, lambda chosen: images.read(self.images, chosen, fit))

    def _with_given(
        self, source: str, files: Callable[[Sequence[int]], Sequence[Path]], flow: Callable[[Sequence[int]], Flow]
    ) -> Footage:
        """Return the video with flow that is read from files instead of being estimated, both by indices of images."""

        def stamp(window: Window) -> str:
            return f"{self.stamp(window)}; flow from {source}: {content_stamp(files(_indices(window, self.images)))}"

        return replace(self, stamp=stamp, given_flow=lambda window: flow(_indices(window, self.images)))


def video_file(path: Path, fit: Fit) -> Footage:
    """Return a video file."""
    stamp = content_stamp([path])

    def read(window: Window) -> Frames:
        check_readable(path)
        return read_video(path, window, fit)

    return Footage(read, lambda window: f"{stamp}; {window}", file=path)


def frame_folder(images: Sequence[Path], fit: Fit, beside: FlowImages | None = None) -> Footage:
    """Return the images of one folder, in natural order, as a video; `beside` is the flow among them."""
    images = tuple(sorted(images, key=in_order))
    return Footage(partial(_read_images, images, fit), partial(_images_stamp, images), images, beside=beside)


def unusable(problem: str) -> Footage:
    """Return a video that cannot be read; reading it raises an `InputError` with the problem."""

    def fail(_: Window) -> Frames:
        raise InputError(problem)

    return Footage(fail, lambda _: f"unusable: {problem}", problem=problem)


def _read_images(images: Sequence[Path], fit: Fit, window: Window) -> Frames:
    """Return the images that a window reads."""
    chosen = _indices(window, images)
    for index in set(chosen):
        check_still(images[index])
    decoded = {index: read_image(images[index], fit) for index in set(chosen)}
    return np.stack([decoded[index] for index in chosen])


def _images_stamp(images: Sequence[Path], window: Window) -> str:
    """Return what identifies the images that a window reads, and those that flow would be estimated from."""
    try:
        chosen = _indices(window, images)
    except InputError as error:  # raised again, and reported, when the clip is loaded
        return f"unusable: {error}"
    read = sorted({*chosen, *following(chosen, len(images)).tolist()})
    return f"{content_stamp([images[index] for index in read if index >= 0])}; {window}"


def _indices(window: Window, images: Sequence[Path]) -> list[int]:
    """Return which images a window reads."""
    chosen: list[int] = window.indices_of_images(len(images)).tolist()
    return chosen
