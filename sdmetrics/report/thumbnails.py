"""The images of the page of units: strips of frames as JPEG, and where a unit responds as PNG with transparency."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import require
from sdmetrics.inspection.strips import thumbnails

if TYPE_CHECKING:
    from sdmetrics.clips.clip import Frames

ABOVE, BELOW = (255, 140, 0), (64, 170, 255)
"""Colours (RGB) of values above and below 0."""

STRONGEST = 215
"""Opacity of the strongest value, of 255."""


def strip_image(frames: Frames, height: int, quality: int) -> str:
    """Return frames side by side, as the address of a JPEG.

    Examples
    --------
    >>> strip_image(np.zeros((2, 8, 8, 3), np.uint8), 48, 70)[:23]
    'data:image/jpeg;base64,'
    """
    cv2 = require("cv2", extra="cpu")
    side_by_side = np.concatenate(list(thumbnails(frames, height)), axis=1)
    _, jpeg = cv2.imencode(".jpg", np.ascontiguousarray(side_by_side[..., ::-1]), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return f"data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}"


def response_image(where: NDArray[np.float32], strongest: float, height: int) -> str:
    """Return where a unit responds, `(frames, height, width)`, side by side, as the address of a PNG.

    Values of ± `strongest` are nearly opaque, 0 is transparent. Each cell is one of the layer's own.

    Examples
    --------
    >>> response_image(np.ones((2, 4, 4), np.float32), 1.0, 48)[:22]
    'data:image/png;base64,'
    """
    cv2 = require("cv2", extra="cpu")
    side_by_side = np.concatenate([_fitted(one, height) for one in where], axis=1)
    share = np.clip(np.abs(side_by_side) / (strongest or 1.0), 0, 1)
    image = np.empty((*side_by_side.shape, 4), np.uint8)
    image[..., :3] = np.where(side_by_side[..., None] >= 0, ABOVE[::-1], BELOW[::-1])
    image[..., 3] = np.round(STRONGEST * share)
    _, png = cv2.imencode(".png", image)
    return f"data:image/png;base64,{base64.b64encode(png.tobytes()).decode()}"


def peak_in_words(where: NDArray[np.float32]) -> str:
    """Return where the largest absolute value is, for those who do not see the image.

    Examples
    --------
    >>> peak_in_words(np.array([[[0, 0], [0, 3]], [[0, 0], [0, 0]]], np.float32))
    'strongest in image 1 of 2, lower right'
    """
    frame, row, column = np.unravel_index(int(np.abs(where).argmax()), where.shape)
    time = f"image {frame + 1} of {len(where)}"
    if where.shape[1:] == (1, 1):
        return f"strongest in {time}"
    vertical = _third(int(row), where.shape[1], ("upper", "middle", "lower"))
    horizontal = _third(int(column), where.shape[2], ("left", "centre", "right"))
    return f"strongest in {time}, {vertical} {horizontal}"


def _third(place: int, size: int, names: tuple[str, str, str]) -> str:
    """Return the name of the third of an axis that a cell's middle is in."""
    return names[int((place + 0.5) / size * 3)]


def _fitted(cells: NDArray[Any], height: int) -> NDArray[Any]:
    """Return a map with no more rows than a thumbnail has pixels."""
    if cells.shape[0] <= height:
        return cells
    cv2 = require("cv2", extra="cpu")
    size = max(1, round(cells.shape[1] * height / cells.shape[0])), height
    return np.asarray(cv2.resize(cells, size, interpolation=cv2.INTER_AREA))
