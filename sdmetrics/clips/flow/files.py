"""Reads the optical flow of one frame from a file of the field's formats."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Flow
from sdmetrics.clips.decode import decoded_image
from sdmetrics.clips.flow.colour import LARGEST
from sdmetrics.errors import InputError

MAGIC = np.float32(202021.25)
"""The first number of a `.flo` file, which reads PIEH as text."""

HEADER = 12
LONGEST_SIDE = 99_999
"""The largest side, in pixels, that the format's own code allows."""


def read_flow(path: Path) -> Flow:
    """Read the optical flow of one frame.

    Understood are Middlebury's `.flo`, KITTI's PNG of 16 bits (red to the right and green downwards, in 1/64 pixel
    about 2¹⁵, blue where it is valid), and colour-coded pictures of 8 bits (PNG, JPEG and others that FFmpeg reads).
    Where a file says that the flow is unknown, it is 0.

    Returns
    -------
    flow
        float32 `(H, W, 2)`, pixels to the right and downwards; or, of a colour-coded picture, uint8 `(H, W, 3)`, RGB.

    Raises
    ------
    InputError
        If the file is missing, truncated or damaged, or of another kind.

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
    return _read_flo(path) if path.suffix.lower() == ".flo" else _read_picture(path)


def _read_flo(path: Path) -> NDArray[np.float32]:
    """Read Middlebury's format: a header of 12 bytes, then both components of every pixel, row by row."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); correct the path or its permissions") from error
    if content[:4] != MAGIC.astype("<f4").tobytes():
        raise InputError(f"{path} does not begin with PIEH, as optical flow in a .flo file does; copy it again")
    if len(content) < HEADER:
        raise InputError(f"{path} is truncated: it has {len(content)} bytes; copy it again or remove it")
    width, height = np.frombuffer(content[4:HEADER], "<i4").tolist()
    if not (1 <= width <= LONGEST_SIDE and 1 <= height <= LONGEST_SIDE):
        raise InputError(
            f"{path} says that it is {width} × {height} pixels; allowed: 1 to {LONGEST_SIDE} each. It is damaged; copy "
            "it again or remove it"
        )
    needed = HEADER + 8 * width * height
    if len(content) != needed:
        raise InputError(
            f"{path} has {len(content)} bytes, {width} × {height} pixels take {needed}: it is truncated or damaged; "
            "copy it again or remove it"
        )
    flow = np.frombuffer(content[HEADER:], "<f4").reshape(height, width, 2).astype(np.float32)
    flow[~(np.abs(flow) < LARGEST).all(axis=-1)] = 0
    return flow


def _read_picture(path: Path) -> Flow:
    """Read a picture: of 16 bits as KITTI's, of 8 bits as colour-coded."""
    frame = decoded_image(path)
    form = frame.format
    if form.name.startswith("rgb48"):
        stored = frame.to_ndarray(format="rgb48le").astype(np.int32)
        return np.where(stored[..., 2:] > 0, (stored[..., :2] - 2**15) / np.float32(64), 0).astype(np.float32)
    if max(component.bits for component in form.components) > 8 or not (form.has_palette or len(form.components) > 2):
        raise InputError(
            f"{path} is a picture of the kind {form.name}; allowed: colour-coded flow of 8 bits a channel, or KITTI's "
            "PNG of 3 channels and 16 bits"
        )
    return np.asarray(frame.reformat(format="rgb24").to_ndarray(), np.uint8)
