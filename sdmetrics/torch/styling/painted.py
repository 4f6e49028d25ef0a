"""Painted frames of a video, and the same frames as they were: what a style is learnt from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdmetrics._text import printable
from sdmetrics.clips.clip import Frames
from sdmetrics.clips.decode import image_size, read_image
from sdmetrics.clips.fit import Fit, Size
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.videos.footage import Footage, video_file
from sdmetrics.clips.videos.named import exists, frames_in
from sdmetrics.errors import InputError

Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Painted:
    """Frames and their paintings, in one size.

    Parameters
    ----------
    frames, paintings
        uint8 `(P, H, W, 3)`: as they are in the video, and painted.
    held_out
        uint8 `(H, W, 3)`: the frame that is farthest in time from all that are painted.
    """

    frames: Frames
    paintings: Frames
    held_out: Image


@dataclass(frozen=True)
class Chosen(Window):
    """Frames of a video by their numbers, from 0."""

    numbers: tuple[int, ...] = ()

    def indices(self, seconds: NDArray[np.float64]) -> NDArray[np.int64]:  # noqa: ARG002  whenever they are shown
        """Return the numbers."""
        return np.array(self.numbers, np.int64)

    def indices_of_images(self, count: int) -> NDArray[np.int64]:  # noqa: ARG002  however many there are
        """Return the numbers."""
        return np.array(self.numbers, np.int64)


def read_painted(video: str | Path, paintings: Mapping[int, str | Path], short_side: int = 256) -> Painted:
    """Read paintings and the frames of a video that they show, scaled to a short side.

    Parameters
    ----------
    video
        A video file, or a folder of frames.
    paintings
        The image of each painted frame, by the number of the frame, from 0. It has the size of the frame.
    short_side
        What the shorter side is scaled to, in pixels: the size in which clips will be shown, as strokes grow with it.

    Raises
    ------
    InputError
        If the video, a frame of that number or an image cannot be read, or an image has another size than its frame,
        has only one colour, or is the frame itself.

    Examples
    --------
    >>> read_painted("cat.mp4", {})
    Traceback (most recent call last):
    sdmetrics.errors.InputError: no frame is painted; pass at least one
    """
    if not paintings:
        raise InputError("no frame is painted; pass at least one")
    path = Path(video)
    if not exists(path):
        raise InputError(f"{printable(path)} does not exist; expected a video, or a folder of frames")
    footage = _footage(path)
    length = footage.length()
    numbers = tuple(sorted(paintings))
    for number in numbers:
        if not 0 <= number < length:
            raise InputError(
                f"frame {number} is painted, and {printable(path)} has the frames 0 to {length - 1}; count from 0"
            )
    size = image_size(footage.files[0])
    scaled = Fit((1, 1), short_side).scaled(size, path)
    fit = Fit(scaled, scaled)
    held_out = max(range(length), key=lambda number: min(abs(number - painted) for painted in numbers))
    wanted = sorted({*numbers, held_out})
    read = replace(footage, fit=fit).read(Chosen(len(wanted), 1, numbers=tuple(wanted)))
    shown = dict(zip(wanted, read, strict=True))
    frames = np.stack([shown[number] for number in numbers])
    painted = np.stack([_painting(Path(paintings[number]), number, size, fit) for number in numbers])
    for number, frame, painting in zip(numbers, frames, painted, strict=True):
        if np.array_equal(frame, painting):
            raise InputError(f"{printable(paintings[number])} is frame {number} as it is; pass one that is painted")
    return Painted(frames, painted, shown[held_out])


def _footage(path: Path) -> Footage:
    """Return a video file or a folder of frames."""
    if not path.is_dir():
        return video_file(path.parent, path.name, Fit((1, 1)))
    found = frames_in(path, Fit((1, 1)))
    if found is None:
        raise InputError(f"{printable(path)} holds no images; expected a video, or a folder of frames")
    if found.problem:
        raise InputError(found.problem)
    return found


def _painting(path: Path, number: int, size: Size, fit: Fit) -> Image:
    """Read a painted frame, scaled."""
    own = image_size(path)
    if own != size:
        raise InputError(
            f"{printable(path)} is {own[1]} × {own[0]} pixels and frame {number} is {size[1]} × {size[0]}; paint the "
            "frame in its own size"
        )
    image = read_image(path, fit)
    if (image == image[:1, :1]).all():
        raise InputError(f"{printable(path)} has one colour only, from which no style can be learnt; pass a painting")
    return image
