"""Decoding: selected frames of any video or image that FFmpeg reads, upright and cropped.

FFmpeg hides damage: by default it conceals what it cannot decode and continues. Here the decoder is set to stop
at damage (`err_detect=explode`), and frames and packets marked as corrupt raise an error. This detects the same
damage as counting FFmpeg's log messages would (except for FFV1's checksums), without changing the log settings of
the process, so clips that are decoded in several threads at the same time do not affect one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.sampling import Window
from sdmetrics.errors import InputError, require

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

LOST = 0.02
"""Share of the frames that may be missing in a complete file: AVI headers count dropped frames."""


def read_video(path: Path, window: Window, size: tuple[int, int]) -> Frames:
    """Return the frames of `window`, uint8 `(window.frames, height, width, 3)`, RGB.

    Frames are turned upright, scaled by area averaging until they just cover `size = (height, width)`, and cropped to
    the centre, so only the overhang is lost (in the paper: short side 256, centre 256 × 256).

    Raises
    ------
    InputError
        If the file is missing, empty, not a video, truncated or damaged, or has no frame in the window.
    """
    with _opened(path) as (container, stream):
        stamps = _time_stamps(container, stream, path)
        if stamps is not None:
            indices = window.indices(np.asarray(stamps * float(stream.time_base or 1), np.float64))
            frames = _after_seeking(container, stream, stamps, indices, size)
            if frames is not None:
                return frames
    with _opened(path) as (container, stream):
        indices = window.indices(_frame_seconds(container, stream, path))
    with _opened(path) as (container, stream):
        chosen = set(indices.tolist())
        kept = {}
        for number, frame in enumerate(_decoded(container, stream, path)):
            if number in chosen:
                kept[number] = _fitted(frame, size)
                if len(kept) == len(chosen):
                    break
        return np.stack([kept[number] for number in indices.tolist()])


def read_image(path: Path, size: tuple[int, int], *, stretched: bool = False) -> NDArray[np.uint8]:
    """Return an image file as `(height, width, 3)`, RGB, scaled and cropped as `read_video` does.

    With `stretched`, each side is scaled separately and nothing is cropped.

    Raises
    ------
    InputError
        If the file is missing, empty, not an image, truncated or damaged.
    """
    return _fitted(decoded_image(path), size, stretched=stretched)


def decoded_image(path: Path) -> VideoFrame:
    """Return an image file as FFmpeg decodes it, in its own size and format.

    Raises
    ------
    InputError
        If the file is missing, empty, not an image, truncated or damaged.
    """
    with _opened(path) as (container, stream):
        for frame in _decoded(container, stream, path):
            return frame
    raise InputError(f"{path} contains no image; replace it or remove it")


def image_size(path: Path) -> tuple[int, int]:
    """Return the `(height, width)` of an image file without decoding it.

    Raises
    ------
    InputError
        If the file is missing, empty or not an image.
    """
    with _opened(path) as (_, stream):
        return stream.height, stream.width


@contextmanager
def _opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its video stream, to be decoded in this thread, and turn FFmpeg's errors into `InputError`."""
    av = require("av", extra="cpu")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise InputError(f"{path} is empty (0 bytes); copy it again or remove it")
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); correct the path or its permissions") from error
    try:
        # The name is neither a URL nor a pattern for several images.
        options = {"pattern_type": "none"}
        with av.open(f"file:{path}", options=options, metadata_errors="replace") as container:
            if not container.streams:
                raise InputError(f"{path} has no stream: it is truncated or not a video; copy it again or remove it")
            stream = container.streams.best("video")
            if stream is None or stream.disposition & stream.disposition.attached_pic:
                raise InputError(f"{path} has no video stream; use a file with a video stream or remove it")
            codec: Any = stream.codec_context
            if codec is None:
                raise InputError(f"{path} is encoded in a way that FFmpeg does not know; re-encode it or remove it")
            codec.thread_type = "NONE"
            codec.options = {"err_detect": "explode"}
            yield container, stream
    except av.error.FFmpegError as error:
        raise InputError(
            f"{path} cannot be decoded ({_reason(error)}): it is truncated, damaged or not a video; "
            "re-encode it or remove it"
        ) from error


def _reason(error: Exception) -> str:
    """Return FFmpeg's message, without the error number and the function's name."""
    return str(getattr(error, "strerror", None) or error).lower()


def _time_stamps(container: InputContainer, stream: VideoStream, path: Path) -> NDArray[np.int64] | None:
    """Return the time stamps of all frames, in order, from the packets, or None if the container has none."""
    stamps: list[int | None] = []
    packets, finish = 0, 0.0
    for packet in container.demux():
        if packet.dts is None and packet.pts is None and packet.size == 0:
            continue  # the end of a stream
        if packet.pts is not None and packet.time_base is not None:
            finish = max(finish, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.stream_index != stream.index:
            continue
        packets += 1
        if packet.is_corrupt:
            raise InputError(f"{path} is truncated or damaged at frame {packets - 1}; copy it again or remove it")
        if packet.size and not packet.is_discard:
            stamps.append(packet.pts)
    if packets < (1 - LOST) * stream.frames:
        raise InputError(
            f"{path} is truncated: only {packets} of its {stream.frames} frames are present; copy it again or remove it"
        )
    # Matroska neither counts its frames nor marks the packet that was cut off, but it stores its duration.
    length = (container.duration or 0) / 1e6 if "matroska" in container.format.name else 0.0
    if finish < (1 - LOST) * length:
        raise InputError(
            f"{path} is truncated: only {finish:.1f} of its {length:.1f} seconds are present; copy it again or "
            "remove it"
        )
    known = [stamp for stamp in stamps if stamp is not None]
    if not known or len(known) < len(stamps):
        return None
    return np.sort(np.array(known, np.int64))


def _after_seeking(
    container: InputContainer,
    stream: VideoStream,
    stamps: NDArray[np.int64],
    indices: NDArray[np.int64],
    size: tuple[int, int],
) -> Frames | None:
    """Decode from the key frame before the first of `indices`; return None unless frames come in order without gaps.

    Seeking overshoots in some containers, an open group of pictures cannot be decoded from its key frame, and
    the time stamps of some AVI files are made up.
    """
    import av

    chosen, first, last = set(indices.tolist()), int(indices.min()), int(indices.max())
    kept = {}
    try:
        container.seek(int(stamps[first]), stream=stream)
        number = -1
        for frame in container.decode(stream):
            if frame.pts is None or frame.is_corrupt:
                return None
            number = int(np.searchsorted(stamps, frame.pts)) if number < 0 else number + 1
            if number >= len(stamps) or stamps[number] != frame.pts:
                return None
            if number in chosen:
                kept[number] = _fitted(frame, size)
            if number >= last:
                break
    except av.error.FFmpegError:
        return None
    return np.stack([kept[i] for i in indices.tolist()]) if len(kept) == len(chosen) else None


def _decoded(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[VideoFrame]:
    """Decode every frame from the beginning; at damage raise an error that names the frame."""
    import av

    number = 0
    try:
        for frame in container.decode(stream):
            if frame.is_corrupt:
                raise InputError(f"{path} is damaged at frame {number}; re-encode it or remove it")
            yield frame
            number += 1
    except av.error.FFmpegError as error:
        raise InputError(
            f"{path} is damaged near frame {number} ({_reason(error)}); re-encode it or remove it"
        ) from error


def _frame_seconds(container: InputContainer, stream: VideoStream, path: Path) -> NDArray[np.float64]:
    """Return when each frame is shown, by decoding all, or from the frame rate if time stamps do not increase."""
    shown = [frame.time for frame in _decoded(container, stream, path)]
    if None not in shown:
        seconds = np.array(shown, np.float64)
        if (np.diff(seconds) > 0).all():
            return seconds
    return np.arange(len(shown)) / float(stream.average_rate or 25)


def _fitted(frame: VideoFrame, size: tuple[int, int], *, stretched: bool = False) -> NDArray[np.uint8]:
    """Return a decoded frame upright, scaled to cover `size` and cropped to the centre, or stretched to `size`."""
    from av.video.reformatter import Interpolation

    # A point (x, y) is shown at (a·x + c·y, b·x + d·y). FFmpeg's angle would turn a mirrored frame.
    stored: Any = frame.side_data.get("DISPLAYMATRIX")
    a, b, _, c, d = np.frombuffer(stored, np.int32)[:5] if stored else (1, 0, 0, 0, 1)
    turned = abs(int(a)) < abs(int(b))
    height, width = size[::-1] if turned else size
    scale = 0 if stretched else max(height / frame.height, width / frame.width)
    covered = frame.reformat(
        width=max(width, round(frame.width * scale)),
        height=max(height, round(frame.height * scale)),
        format="rgb24",
        interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT,
    )
    image = np.asarray(covered.to_ndarray(), np.uint8)
    top, left = (image.shape[0] - height) // 2, (image.shape[1] - width) // 2
    image = image[top : top + height, left : left + width]
    if turned:
        image, a, d = image.transpose(1, 0, 2), c, b
    image = image[:, ::-1] if a < 0 else image
    return np.ascontiguousarray(image[::-1] if d < 0 else image)
