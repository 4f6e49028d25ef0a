"""Decoding of segmentation masks from images, run lengths, polygons and boxes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from reprlib import repr as shortened

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sdmetrics.clips.clip import VOID
from sdmetrics.clips.decode import decoded_image
from sdmetrics.errors import InputError

Mask = NDArray[np.uint8]
"""Segmentation mask of one frame, uint8 `(h, w)`: 0 background, 1 to 254 objects, 255 void (unlabelled)."""

Region = NDArray[np.bool_]
"""The pixels of one object, bool `(h, w)`."""

LAST_OBJECT = VOID - 1

FAR = 1e6
"""Upper bound on the coordinates of an image, in pixels."""


def read_mask(path: Path) -> Mask:
    """Read the segmentation mask of one frame from an image.

    The image holds the objects' numbers, as palette indices or grey levels, with 255 for void pixels. If 0 and 255 are
    the only grey levels, they mean background and one object.

    Returns
    -------
    Mask
        uint8 `(h, w)`.

    Raises
    ------
    InputError
        If the file is missing, damaged or not an image, has colours without a palette, or more than 8 bits.

    Examples
    --------
    >>> read_mask(Path("0.png"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: 0.png cannot be read: No such file or directory. Check the path
    """
    frame = decoded_image(path)
    if frame.format.has_palette:
        indices, _ = frame.to_ndarray()
        return np.array(indices, np.uint8)
    bits = max(component.bits for component in frame.format.components)
    image = np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)
    grey = image[..., 0]
    if bits > 8 or (image != grey[..., None]).any():
        raise InputError(
            f"{path} is an image with {f'{bits} bits' if bits > 8 else 'colours'}; expected 8 bits, with the numbers "
            "of the objects as grey levels or palette indices. Convert it"
        )
    if ((grey == 0) | (grey == VOID)).all():
        return np.minimum(grey, 1)
    return np.array(grey)


def decode_runs(counts: ArrayLike | str, size: tuple[int, int], where: str) -> Region:
    """Return the region of an object that is stored as run lengths in COCO's format: by column, background first.

    Parameters
    ----------
    counts
        The lengths of the runs, which alternate between background and object, or COCO's compressed text of them.
    size
        `(height, width)`.
    where
        Names the record, for errors.

    Raises
    ------
    InputError
        If `counts` are not run lengths, or they do not add up to `size`.

    Examples
    --------
    >>> decode_runs([1, 2, 1], (2, 2), "record 0,").astype(int).tolist()
    [[0, 1], [1, 0]]
    >>> decode_runs("121", (2, 2), "record 0,").astype(int).tolist()
    [[0, 1], [1, 0]]
    """
    height, width = size
    runs = _uncompressed(counts, where) if isinstance(counts, str) else _whole(counts, where)
    # The single lengths are checked first, since their sum could overflow.
    if (runs < 0).any() or (runs > height * width).any() or runs.sum() != height * width:
        raise InputError(
            f"{where} has runs that do not add up to {height} × {width} pixels: {shortened(runs.tolist())}; correct or "
            "remove the record"
        )
    flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
    return flat.reshape(width, height).T


def _whole(counts: ArrayLike, where: str) -> NDArray[np.int64]:
    """Return run lengths as an array if they are a list of whole numbers."""
    try:
        runs = np.asarray(counts)
    except ValueError:
        runs = np.empty(0)
    if runs.ndim != 1 or runs.dtype.kind != "i":
        raise InputError(
            f"{where} has the counts {shortened(counts)}; expected a list of whole numbers, or COCO's text of them. "
            "Correct or remove the record"
        )
    return runs.astype(np.int64)


def _uncompressed(text: str, where: str) -> NDArray[np.int64]:
    """Return the run lengths of COCO's text.

    Each character, counted from `0`, holds five bits of a number, the lowest first. Its sixth bit means that more
    characters follow, and the fifth bit of the last character is the sign. From the fourth number on, each number is
    the difference from the number two before.
    """
    codes = np.frombuffer(text.encode("utf-8"), np.uint8).astype(np.int64) - ord("0")
    last = (codes & 32) == 0
    begins = np.flatnonzero(np.concatenate([[True], last[:-1]])) if len(codes) else np.empty(0, np.int64)
    place = np.arange(len(codes)) - np.repeat(begins, np.diff(begins, append=len(codes)))
    if not len(codes) or not last[-1] or codes.min() < 0 or codes.max() >= 64 or place.max() > 9:
        raise InputError(
            f"{where} has the counts {shortened(text)}, which are not run lengths in COCO's text; correct or remove "
            "the record"
        )
    numbers = np.add.reduceat((codes & 31) << 5 * place, begins)
    negative = (codes[last] & 16) > 0
    numbers -= negative.astype(np.int64) << 5 * (place[last] + 1)
    for parity in (1, 2):
        numbers[parity::2] = numbers[parity::2].cumsum()
    return numbers


def fill_polygons(polygons: Sequence[ArrayLike], size: tuple[int, int], where: str) -> Region:
    """Return the pixels whose centres are in any of the polygons (COCO's format), clipped to the image.

    Parameters
    ----------
    polygons
        Lists `[x, y, x, y, …]` in pixels, with at least three points each; the even-odd rule applies to polygons that
        cross themselves.
    size, where
        See `decode_runs`.

    Raises
    ------
    InputError
        If a polygon is not such a list of numbers.

    Examples
    --------
    >>> fill_polygons([[1, 0, 3, 0, 3, 1, 1, 1]], (2, 4), "record 0,").astype(int).tolist()
    [[0, 1, 1, 0], [0, 0, 0, 0]]
    """
    height, width = size
    filled = np.zeros(size, np.bool_)
    for polygon in polygons:
        x, y = _points(polygon, where)
        next_x, next_y = np.roll(x, -1), np.roll(y, -1)
        centres = np.arange(height)[:, None] + 0.5
        row, edge = np.nonzero((y <= centres) != (next_y <= centres))
        slope = (next_x - x)[edge] / (next_y - y)[edge]
        crossing = x[edge] + (row + 0.5 - y[edge]) * slope
        # Inside and outside swap from the first pixel whose centre is to the right of a crossing.
        changes = np.zeros((height, width + 1), np.int64)
        np.add.at(changes, (row, np.clip(np.ceil(crossing - 0.5), 0, width).astype(np.int64)), 1)
        filled |= changes.cumsum(axis=1)[:, :width] % 2 == 1
    return filled


def _points(polygon: ArrayLike, where: str) -> NDArray[np.float64]:
    """Return a polygon's points, `(2, n)`."""
    try:
        numbers = np.asarray(polygon)
    except ValueError:
        numbers = np.empty(0)
    if numbers.ndim != 1 or numbers.dtype.kind not in "if" or len(numbers) < 6 or len(numbers) % 2:
        numbers = np.full(6, np.nan)
    if not (np.abs(numbers) < FAR).all():
        raise InputError(
            f"{where} has the polygon {shortened(polygon)}; expected [x, y, x, y, …] with at least three points. "
            "Correct or remove the record"
        )
    return numbers.reshape(-1, 2).T.astype(np.float64)


def fill_box(box: tuple[float, float, float, float], size: tuple[int, int]) -> Region:
    """Return the pixels whose centres are in a box, clipped to the image.

    Parameters
    ----------
    box
        Left, top, right and bottom edge, in pixels from the top left corner of the image.
    size
        `(height, width)`.

    Examples
    --------
    >>> fill_box((-1, 0, 2, 1), (2, 3)).astype(int).tolist()
    [[1, 1, 0], [0, 0, 0]]
    """
    left, top, right, bottom = box
    across, down = np.arange(size[1]) + 0.5, np.arange(size[0]) + 0.5
    return ((top <= down) & (down < bottom))[:, None] & ((left <= across) & (across < right))


def painted(regions: Sequence[Region], size: tuple[int, int], where: str, numbers: Sequence[int] = ()) -> Mask:
    """Return the mask of objects numbered from 1, or by `numbers`; later objects cover earlier ones.

    Raises
    ------
    InputError
        If a number is not from 1 to 254.

    Examples
    --------
    >>> painted([fill_box((0, 0, 2, 1), (1, 3)), fill_box((1, 0, 3, 1), (1, 3))], (1, 3), "record 0,").tolist()
    [[1, 2, 2]]
    """
    mask = np.zeros(size, np.uint8)
    for number, region in zip(numbers or range(1, len(regions) + 1), regions, strict=True):
        if not 1 <= number <= LAST_OBJECT:
            raise InputError(f"{where} has object number {number}; allowed: 1 to {LAST_OBJECT}. Leave the video out")
        mask[region] = number
    return mask
