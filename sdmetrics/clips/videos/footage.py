"""Footage: a video file or a folder of frames, read by windows; and its optical flow.

Clips are sent to other processes with their footage, so it holds data only; and lists name a million videos, so each
holds little of it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

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

UNUSABLE = "unusable: "
"""What the stamp of a video that cannot be read begins with."""


class GivenFlow(Protocol):
    """Optical flow that is read from files, one or more for each image, instead of being estimated."""

    @property
    def source(self) -> str:
        """What the files are, for stamps."""

    def files_of(self, images: Sequence[Path], chosen: Sequence[int]) -> list[Path]:
        """Return the files with the flow of the chosen images."""

    def read(self, images: Sequence[Path], chosen: Sequence[int], fit: Fit) -> Flow:
        """Return the flow of the chosen images, scaled and cropped as they are."""


@dataclass(frozen=True)
class _FlowFolder:
    """Flow in the folder `name` below `root`, which has a file for every image."""

    root: Path
    name: Path

    @property
    def source(self) -> str:
        return self.root.name

    def files_of(self, images: Sequence[Path], chosen: Sequence[int]) -> list[Path]:
        return flow_files(self.root / self.name, [images[index] for index in chosen])

    def read(self, images: Sequence[Path], chosen: Sequence[int], fit: Fit) -> Flow:
        return flow_of_images(self.root / self.name, [images[index] for index in chosen], fit)


@dataclass(frozen=True, slots=True)
class Footage:
    """A video file or a folder of frames.

    Parameters
    ----------
    fit
        How frames are scaled and cropped.
    name, root
        The path of the video file, if it is one, and the folder that it is relative to.
    images
        The files of a folder of frames, in order.
    given_flow
        The optical flow of the images. Default: it is estimated.
    beside
        The grey images of flow among the images, if there are any; they are the flow only of `with_images`.
    problem
        Why it cannot be read, if that is known.
    """

    fit: Fit
    name: str = ""
    root: Path = Path()
    images: tuple[Path, ...] = ()
    given_flow: GivenFlow | None = None
    beside: FlowImages | None = None
    problem: str = ""

    @property
    def file(self) -> Path:
        """The path of the video file."""
        return self.root / self.name

    @property
    def files(self) -> Sequence[Path]:
        """What the video is read from."""
        return [self.file] if self.name else self.images

    def read(self, window: Window) -> Frames:
        """Return the frames of a window.

        Raises
        ------
        InputError
            If the video cannot be read.
        """
        if self.problem:
            raise InputError(self.problem)
        if not self.name:
            return _read_images(self.images, self.fit, window)
        check_readable(self.file)
        return read_video(self.file, window, self.fit)

    def stamp(self, window: Window) -> str:
        """Return what identifies the content that a window reads."""
        if self.problem:
            return f"{UNUSABLE}{self.problem}"
        if self.name:
            return f"{content_stamp([self.file])}; {window}"
        stamp = _images_stamp(self.images, window)
        if self.given_flow is None or stamp.startswith(UNUSABLE):
            return stamp
        files = self.given_flow.files_of(self.images, _indices(window, self.images))
        return f"{stamp}; flow from {self.given_flow.source}: {content_stamp(files)}"

    def length(self) -> int:
        """Return the number of frames; those of a video file are counted, whatever its header says."""
        return frame_count(self.file) if self.name else len(self.images)

    def flow(self, window: Window) -> Flow:
        """Return the optical flow of the frames of a window, each to the next of the video."""
        if self.given_flow is not None:
            return self.given_flow.read(self.images, _indices(window, self.images), self.fit)
        frames = self.read(Neighbours.of(window))
        return estimate_flow(frames[::2], frames[1::2])

    def with_flow(self, root: Path, name: Path) -> Footage:
        """Return the video with flow from the folder `name` below `root`, which has a file for every image."""
        if self.problem:
            return self
        if not self.images:
            raise InputError(
                f"flow is given image by image, and {printable(name)} is a video file; use folders of frames, or leave "
                "flow out to estimate it"
            )
        return replace(self, given_flow=_FlowFolder(root, name))

    def with_images(self, images: FlowImages) -> Footage:
        """Return the video with the flow that grey images show."""
        return replace(self, given_flow=images)


def video_file(root: Path, name: str, fit: Fit) -> Footage:
    """Return a video file, whose path `name` is absolute or relative to the folder `root`."""
    return Footage(fit, name, root)


def frame_folder(images: Sequence[Path], fit: Fit, beside: FlowImages | None = None) -> Footage:
    """Return the images of one folder, in natural order, as a video; `beside` is the flow among them."""
    return Footage(fit, images=tuple(sorted(images, key=in_order)), beside=beside)


def unusable(problem: str) -> Footage:
    """Return a video that cannot be read; reading it raises an `InputError` with the problem."""
    return Footage(Fit((1, 1)), problem=problem)


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
        return f"{UNUSABLE}{error}"
    read = sorted({*chosen, *following(chosen, len(images)).tolist()})
    return f"{content_stamp([images[index] for index in read if index >= 0])}; {window}"


def _indices(window: Window, images: Sequence[Path]) -> list[int]:
    """Return which images a window reads."""
    chosen: list[int] = window.indices_of_images(len(images)).tolist()
    return chosen
