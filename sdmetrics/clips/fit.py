"""Fit: how a frame becomes one of the size that a model reads: scaled, then cropped to the centre."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.clips.media import MOST_PIXELS
from sdmetrics.errors import InputError

Size = tuple[int, int]
"""`(height, width)` in pixels."""


@dataclass(frozen=True)
class Fit:
    """How frames and what belongs to them, such as flow and masks, are scaled and cropped.

    Parameters
    ----------
    size
        `(height, width)` of the centre that is kept.
    resize
        What frames are scaled to before: the shorter side in pixels, or `(height, width)`. Default: what just covers
        `size`. With `resize` equal to `size`, frames are stretched and nothing is cropped.

    Examples
    --------
    >>> fit = Fit((224, 224), resize=256)
    >>> fit.scaled((240, 320), Path("a.mp4")), fit.corner((256, 341))
    ((256, 341), (16, 58))
    """

    size: Size
    resize: int | Size | None = None

    def scaled(self, image: Size, path: Path) -> Size:
        """Return the size to which an image or frame of a file is scaled.

        The longer side is rounded down, as in torchvision, SlowFast and Transformers; without `resize`, to the nearest.

        Raises
        ------
        InputError
            If it is so narrow that it would have more than `MOST_PIXELS`.
        """
        if isinstance(self.resize, tuple):
            return self.resize
        if self.resize is None:
            scale = max(self.size[0] / image[0], self.size[1] / image[1])
            height, width = (max(self.size[axis], round(image[axis] * scale)) for axis in (0, 1))
        else:
            height, width = (self.resize * side // min(image) for side in image)
        if height * width > MOST_PIXELS:
            raise InputError(
                f"{printable(path)} has frames of {image[1]} × {image[0]} pixels, which are scaled to {width} × "
                f"{height} to cover {self.size[1]} × {self.size[0]}; allowed: at most {MOST_PIXELS} pixels. Crop them"
            )
        return height, width

    def corner(self, scaled: Size) -> Size:
        """Return the top and left of the centre in an image that was scaled.

        Half a pixel is rounded to the even number, as in torchvision; without `resize`, down. SlowFast rounds up, and
        Transformers and mmaction2 round down: where the overhang is odd, their crop may be one pixel beside this one.
        """
        top, left = ((long - short) / 2 for long, short in zip(scaled, self.size, strict=True))
        return (int(top), int(left)) if self.resize is None else (round(top), round(left))

    def turned(self) -> Fit:
        """Return how to fit an image that is stored turned by a quarter, before it is turned upright."""
        resize = self.resize[::-1] if isinstance(self.resize, tuple) else self.resize
        return Fit(self.size[::-1], resize)
