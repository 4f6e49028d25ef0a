"""Decoding: selected frames of any video or image that FFmpeg reads, upright and cropped.

FFmpeg hides damage: by default it conceals what it cannot decode and continues. Here the decoder is set to stop
at damage (`err_detect=explode`), and frames and packets marked as corrupt raise an error. This detects the same
damage as counting FFmpeg's log messages would (except for FFV1's checksums), without changing the log settings of
the process, so clips that are decoded in several threads at the same time do not affect one another.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sdmetrics._text import printable
from sdmetrics.clips.clip import Frames
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.iso_boxes import is_mirrored
from sdmetrics.clips.media import MOST_PIXELS, opened, reason, tried_twice
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.truncation import check_whole
from sdmetrics.clips.upright import is_mirror_image, quarter_turns, upright
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

WITH_EXIF, EXIF = ("mjpeg", "png", "webp"), (b"Exif", b"eXIf", b"EXIF")
"""FFmpeg's names of the kinds of image whose Exif is found by one of these marks."""


@tried_twice
def read_video(path: Path, window: Window, fit: Fit) -> Frames:
    """Return the frames of `window`, uint8 `(window.frames, height, width, 3)`, RGB.

    Frames are turned upright, scaled by area averaging and cropped to the centre, as `fit` says (in the paper: short
    side 256, centre 256 × 256).

    Raises
    ------
    InputError
        If the file is missing, empty, not a video, truncated or damaged, or has no frame in the window.
    """
    with opened(path) as (container, stream):
        stamps = _shown(container, stream, path)
        mirrored = _mirrored_by_container(container, stream, path)
        if stamps is not None:
            indices = window.indices(np.asarray(stamps * float(stream.time_base or 1), np.float64))
            frames = _after_seeking(container, stream, stamps, indices, fit, mirrored, path)
            if frames is not None:
                return frames
    with opened(path) as (container, stream):
        indices = window.indices(_frame_seconds(container, stream, path))
    with opened(path) as (container, stream):
        chosen = set(indices.tolist())
        kept = {}
        for number, frame in enumerate(_decoded(container, stream, path)):
            if number in chosen:
                kept[number] = _fitted(frame, fit, mirrored, path)
                if len(kept) == len(chosen):
                    break
        return np.stack([kept[number] for number in indices.tolist()])


@tried_twice
def frame_count(path: Path) -> int:
    """Return the number of frames of a video; only the first is decoded, unless the container does not list them.

    Raises
    ------
    InputError
        If the file is missing, empty, not a video, truncated or damaged.
    """
    with opened(path) as (container, stream):
        stamps = _shown(container, stream, path)
        first = np.zeros(1, np.int64)
        if (
            stamps is not None
            and _after_seeking(container, stream, stamps, first, Fit((8, 8)), False, path) is not None
        ):
            return len(stamps)
    with opened(path) as (container, stream):
        return len(_frame_seconds(container, stream, path))


def read_image(path: Path, fit: Fit) -> NDArray[np.uint8]:
    """Return an image file as `(height, width, 3)`, RGB, upright, scaled and cropped as `read_video` does.

    Raises
    ------
    InputError
        If the file is missing, empty, not an image, truncated, damaged or too large.
    """
    frame, mirrored = _stored_image(path)
    return _fitted(frame, fit, mirrored, path)


def decoded_image(path: Path) -> VideoFrame:
    """Return an image whose values belong to pixels, e.g. a mask or flow, in its own size and format.

    Raises
    ------
    InputError
        If the file is missing, empty, not an image, truncated, damaged or too large, or its Exif turns or mirrors it,
        since vectors would have to be turned, too.
    """
    frame, mirrored = _stored_image(path)
    if mirrored or quarter_turns(frame):
        raise InputError(f"{printable(path)} is stored turned or mirrored, by its Exif; store it upright, without Exif")
    return frame


@tried_twice
def image_size(path: Path) -> tuple[int, int]:
    """Return the `(height, width)` of an image file as it is shown; only what may be turned is decoded.

    Raises
    ------
    InputError
        If the file is missing, empty, not an image or too large.
    """
    with opened(path) as (container, stream):
        stored = stream.height, stream.width
        image = b"".join(map(bytes, islice(container.demux(stream), 1)))
    if 0 in stored:
        raise InputError(f"{printable(path)} does not show its size: it is damaged; copy it again or remove it")
    plain = stream.codec_context.name in WITH_EXIF and not any(mark in image for mark in EXIF)
    if not plain and quarter_turns(_stored_image(path)[0]) % 2:
        return stored[::-1]
    return stored


@tried_twice
def _stored_image(path: Path) -> tuple[VideoFrame, bool]:
    """Return an image file as it is stored, and whether it is stored mirrored."""
    with opened(path) as (container, stream):
        mirrored = _mirrored_by_container(container, stream, path)
        for frame in _decoded(container, stream, path):
            return frame, is_mirror_image(frame, mirrored)
    raise InputError(f"{printable(path)} contains no image; replace it or remove it")


def _mirrored_by_container(container: InputContainer, stream: VideoStream, path: Path) -> bool:
    """Return whether the container says that a mirror image is stored."""
    return "mov" in container.format.name.split(",") and is_mirrored(path, stream.id)


def _shown(container: InputContainer, stream: VideoStream, path: Path) -> NDArray[np.int64] | None:
    """Return the time stamps of all frames that are shown, in order, or None if the container has none."""
    stamps, headless = _time_stamps(container, stream, path)
    if stamps is None or not headless:
        return stamps
    # A recording that begins, or was cut, between key frames has frames at its beginning that nobody can decode.
    with opened(path) as (again, same):
        first = next((frame.pts for frame in _decoded(again, same, path)), None)
    return None if first is None else stamps[stamps >= first]


def _time_stamps(container: InputContainer, stream: VideoStream, path: Path) -> tuple[NDArray[np.int64] | None, bool]:
    """Return the time stamps of all frames, in order, and whether some come before the first key frame.

    They are read from the packets, without decoding; None if the container has none.
    """
    stamps: list[int | None] = []
    packets, key = 0, None
    for packet in container.demux(stream):
        if packet.dts is None and packet.pts is None and packet.size == 0:
            continue  # the end of the stream
        packets += 1
        if packet.is_corrupt:
            raise InputError(
                f"{printable(path)} is truncated or damaged at frame {packets - 1}; copy it again or remove it"
            )
        key = packet.pts if packet.is_keyframe and key is None else key
        if packet.size and not packet.is_discard:
            stamps.append(packet.pts)
    check_whole(container, stream, path, packets)
    known = [stamp for stamp in stamps if stamp is not None]
    if not known or len(known) < len(stamps):
        return None, False
    return np.sort(np.array(known, np.int64)), key is None or min(known) < key


def _after_seeking(
    container: InputContainer,
    stream: VideoStream,
    stamps: NDArray[np.int64],
    indices: NDArray[np.int64],
    fit: Fit,
    mirrored: bool,
    path: Path,
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
                kept[number] = _fitted(frame, fit, mirrored, path)
            if number >= last:
                break
    except av.error.FFmpegError:
        return None
    return np.stack([kept[i] for i in indices.tolist()]) if len(kept) == len(chosen) else None


def _decoded(container: InputContainer, stream: VideoStream, path: Path) -> Iterator[VideoFrame]:
    """Decode every frame from the beginning; at damage raise an error that names the frame."""
    import av

    number, begun, key = 0, False, None
    failure: Exception | None = None
    for packet in container.demux(stream):
        if packet.is_keyframe and not begun:
            begun, key = True, packet.pts
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            failure = error
            # What is shown before the first key frame refers to frames that are not in the file.
            if not begun or (key is not None and packet.pts is not None and packet.pts < key):
                continue
            break
        for frame in frames:
            if frame.is_corrupt:
                raise InputError(f"{printable(path)} is damaged at frame {number}; re-encode it or remove it")
            yield frame
            number += 1
    else:
        if number:
            return
    if failure:
        large = "" if stream.width else f" or larger than {MOST_PIXELS} pixels"
        raise InputError(
            f"{printable(path)} is damaged near frame {number}{large} ({reason(failure)}); re-encode it or remove it"
        ) from failure


def _frame_seconds(container: InputContainer, stream: VideoStream, path: Path) -> NDArray[np.float64]:
    """Return when each frame is shown, by decoding all, or from the frame rate if time stamps do not increase."""
    shown = [frame.time for frame in _decoded(container, stream, path)]
    if None not in shown:
        seconds = np.array(shown, np.float64)
        if (np.diff(seconds) > 0).all():
            return seconds
    return np.arange(len(shown)) / float(stream.average_rate or 25)


def _fitted(frame: VideoFrame, fit: Fit, mirrored: bool, path: Path) -> NDArray[np.uint8]:
    """Return a decoded frame scaled, upright and cropped to the centre."""
    import av
    from av.video.reformatter import Interpolation

    turns = quarter_turns(frame)
    stored = fit.turned() if turns % 2 else fit
    height, width = stored.scaled((frame.height, frame.width), path)
    try:
        scaled = frame.reformat(
            width=width,
            height=height,
            format="rgb24",
            interpolation=Interpolation.AREA | Interpolation.ACCURATE_RND | Interpolation.BITEXACT,
        )
    except av.error.FFmpegError as error:
        raise InputError(
            f"{printable(path)} has frames of {frame.width} × {frame.height} pixels, which FFmpeg cannot scale to "
            f"{width} × {height} ({reason(error)}); crop or re-encode them"
        ) from error
    image = upright(np.asarray(scaled.to_ndarray(), np.uint8), turns, is_mirror_image(scaled, mirrored))
    top, left = fit.corner(image.shape[:2])
    return np.ascontiguousarray(image[top : top + fit.size[0], left : left + fit.size[1]])
