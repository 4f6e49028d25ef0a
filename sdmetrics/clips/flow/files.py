"""Reading the optical flow of one frame from a file in one of the usual formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdmetrics._reading import regular_file, unreadable
from sdmetrics._text import printable
from sdmetrics.clips.clip import Flow
from sdmetrics.clips.decode import decoded_image
from sdmetrics.clips.flow.colour import LARGEST
from sdmetrics.clips.media import check_pixels
from sdmetrics.errors import InputError

MAGIC = np.float32(202021.25)
"""The first number of a `.flo` file; as text its bytes read PIEH."""

HEADER = 12
LONGEST_SIDE = 99_999
"""The largest side, in pixels, that the format's reference code accepts."""


def read_flow(path: Path) -> Flow:
    """Read the optical flow of one frame.

    Supported formats are Middlebury's `.flo`, KITTI's 16-bit PNG (red: right, green: down, both in 1/64 pixel with an
    offset of 2¹⁵; blue: valid), and colour-coded 8-bit images (PNG, JPEG and others that FFmpeg reads). Vectors that
    the file marks as unknown become 0.

    Returns
    -------
    flow
        float32 `(H, W, 2)`, pixels to the right and downwards, or for a colour-coded image uint8 `(H, W, 3)`, RGB.

    Raises
    ------
    InputError
        If the file is missing, truncated, damaged, too large or in another format.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "frame_0001.flo")
    ...     size, vectors = np.array([2, 1], "<i4"), np.array([3, 0, 1e10, 0], "<f4")
    ...     _ = path.write_bytes(b"PIEH" + size.tobytes() + vectors.tobytes())
    ...     read_flow(path).tolist()
    [[[3.0, 0.0], [0.0, 0.0]]]
    """
    return _read_flo(path) if path.suffix.lower() == ".flo" else _read_image(path)


def _read_flo(path: Path) -> NDArray[np.float32]:
    """Read Middlebury's format: a header of 12 bytes, then both components of every pixel, row by row."""
    size = regular_file(path).stat().st_size
    try:
        with path.open("rb") as file:
            header = file.read(HEADER)
            _check_flo(path, header, size)
            width, height = np.frombuffer(header[4:], "<i4").tolist()
            flow = np.fromfile(file, "<f4", 2 * width * height).reshape(height, width, 2).astype(np.float32, copy=False)
    except OSError as error:
        raise unreadable(path, error) from error
    flow[~(np.abs(flow) < LARGEST).all(axis=-1)] = 0
    return flow


def _check_flo(path: Path, header: bytes, size: int) -> None:
    """Check the header of a `.flo` file of `size` bytes before memory is reserved for what it promises."""
    if header[:4] != MAGIC.astype("<f4").tobytes():
        raise InputError(
            f"{printable(path)} does not begin with PIEH, so it is not a .flo file; copy it again or remove it"
        )
    if len(header) < HEADER:
        raise InputError(f"{printable(path)} is truncated: it has {size} bytes; copy it again or remove it")
    width, height = np.frombuffer(header[4:], "<i4").tolist()
    if not (1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE):
        raise InputError(
            f"{printable(path)} has a header for {width} × {height} pixels; allowed: 1 to {LONGEST_SIDE} each. It is "
            "damaged; copy it again or remove it"
        )
    expected = HEADER + 8 * width * height
    if size != expected:
        raise InputError(
            f"{printable(path)} has {size} bytes; expected {expected} for {width} × {height} pixels. It is truncated "
            "or damaged; copy it again or remove it"
        )
    check_pixels(path, height, width, "flow")


def _read_image(path: Path) -> Flow:
    """Read an image: 16 bits as KITTI's format, 8 bits as colour-coded flow."""
    frame = decoded_image(path)
    form = frame.format
    if form.name.startswith("rgb48"):
        stored = frame.to_ndarray(format="rgb48le")
        flow = stored[..., :2].astype(np.float32)
        flow = (flow - 2**15) / np.float32(64)
        flow[stored[..., 2] == 0] = 0
        return flow
    if max(component.bits for component in form.components) > 8 or not (form.has_palette or len(form.components) > 2):
        raise InputError(
            f"{printable(path)} is an image of the format {form.name}; allowed: colour-coded flow with 8 bits per "
            "channel, or KITTI's PNG with 3 channels of 16 bits"
        )
    return np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)
