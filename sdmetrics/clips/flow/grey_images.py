"""Optical flow in grey images, one of its horizontal and one of its vertical part for every frame.

TSN, denseflow and mmaction2 store flow so: they cut it off at 20 pixels and spread -20 to 20 over the levels 0 to 255,
which rounds no motion to 128. The images do not say with which bound they were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdmetrics._text import printable
from sdmetrics.clips.clip import Flow
from sdmetrics.clips.decode import decoded_image
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.folder import fitted_flow, scaled_size
from sdmetrics.errors import InputError

BOUND = 20
"""Pixels; what levels 0 and 255 stand for."""

NO_MOTION = 128
MEANING = f"level {NO_MOTION} as no motion, 0 and 255 as -{BOUND} and {BOUND} pixels"
"""What the levels are taken for, for notes."""

TINT = 8
"""Levels by which the channels of a grey image may differ, since some are stored as JPEG in colour."""

Number = tuple[int, ...]


@dataclass(frozen=True)
class FlowImages:
    """The images of the flow of a video by the number in their names, which is that of their frame.

    Examples
    --------
    >>> images = FlowImages.of([Path("x_00001.jpg")], [Path("y_00001.jpg")])
    >>> [file.name for file in images.of_frame([Path("img_00001.jpg"), Path("img_00002.jpg")], 1)]
    ['x_00001.jpg', 'y_00001.jpg']
    """

    x: Mapping[Number, Path]
    y: Mapping[Number, Path]

    @classmethod
    def of(cls, x: Iterable[Path], y: Iterable[Path]) -> FlowImages:
        """Return the images of both parts of a flow."""
        return cls({_number(file): file for file in x}, {_number(file): file for file in y})

    @property
    def source(self) -> str:
        """What the files are, for stamps."""
        return "images"

    def files_of(self, images: Sequence[Path], chosen: Sequence[int]) -> list[Path]:
        """Return the images of the flow of some frames."""
        return [file for index in chosen for file in self.of_frame(images, index)]

    def of_frame(self, images: Sequence[Path], index: int) -> list[Path]:
        """Return the two images of a frame; of the last frame, if it has none, those that led to it.

        The list is empty if the frame has no flow.
        """
        for place in (index, index - 1) if index == len(images) - 1 else (index,):
            number = _number(images[place])
            if number in self.x and number in self.y:
                return [self.x[number], self.y[number]]
        return []

    def read(self, images: Sequence[Path], chosen: Sequence[int], fit: Fit) -> Flow:
        """Return the flow of some frames, float32 `(T, height, width, 2)`, scaled and cropped as the frames are.

        Raises
        ------
        InputError
            If an image is missing, cannot be read or is not grey, or two of one frame differ in size.
        """
        flows = {}
        for index in set(chosen):
            files = self.of_frame(images, index)
            if not files:
                raise InputError(
                    f"{printable(images[index])} has no images of flow of its number; remove the images of flow to "
                    "have it estimated, or add those that are missing"
                )
            flows[index] = fitted_flow(flow_of_levels(*files), scaled_size(images[index], fit), fit)
        # The precision of the cache on disk, so that runs with and without a cache give the same bits.
        return np.stack([flows[index] for index in chosen]).astype(np.float16).astype(np.float32)


def flow_of_levels(x: Path, y: Path) -> NDArray[np.float32]:
    """Return the flow that two grey images show, float32 `(H, W, 2)`, pixels to the right and downwards.

    Raises
    ------
    InputError
        If an image cannot be read or is not grey, or they differ in size.

    Examples
    --------
    >>> flow_of_levels(Path("x_1.jpg"), Path("y_1.jpg"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: x_1.jpg cannot be read...
    """
    levels = [_levels(file) for file in (x, y)]
    if levels[0].shape != levels[1].shape:
        (height, width), (other_height, other_width) = (part.shape for part in levels)
        raise InputError(
            f"{printable(x)} has {width} × {height} pixels and {printable(y)} {other_width} × {other_height}; "
            "both parts of a flow need one size. Copy them again"
        )
    return (np.stack(levels, axis=-1).astype(np.float32) - NO_MOTION) * np.float32(2 * BOUND / 255)


def _levels(path: Path) -> NDArray[np.uint8]:
    """Return the levels of a grey image, `(H, W)`."""
    frame = decoded_image(path)
    if frame.format.name == "gray":
        return np.asarray(frame.to_ndarray(), np.uint8)
    colours = np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)
    if int((colours.max(axis=-1) - colours.min(axis=-1)).max()) > TINT:
        raise InputError(
            f"{printable(path)} is taken for one part of a flow by its name, but is in colour; expected grey levels. "
            "Rename the folder or the images if they are frames"
        )
    return colours[..., 1]


def _number(file: Path) -> Number:
    """Return the numbers in a file's name."""
    return tuple(int(digits) for digits in re.findall("[0-9]+", file.stem))
