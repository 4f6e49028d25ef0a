"""Opening a video or an image with FFmpeg: only this file, only known formats, only frames of a size that fits memory.

FFmpeg follows playlists to other files and addresses, draws text as video, and allocates whatever a header promises.
None of this is wanted of a file from outside, so its formats, its protocols and its frames are limited here.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, TypeVar, cast

from sdmetrics._reading import regular_file, unreadable
from sdmetrics._text import printable
from sdmetrics.errors import InputError, require

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

P = ParamSpec("P")
T = TypeVar("T")

MOST_PIXELS = 8192 * 6144
"""Pixels of the largest frame, image or flow field that is read: above 8K video (8192 × 4320) and photographs of 50
million pixels. As RGB it takes 150 MB, and decoding it several times as much, in every thread that decodes."""

TEXT_SUFFIXES = (
    ".csv", ".ffconcat", ".json", ".m3u", ".m3u8", ".mpd", ".pls", ".sdp", ".srt", ".tsv", ".txt", ".vtt", ".xml",
)  # fmt: skip
"""Files of these names list or describe videos; FFmpeg would open what they name, or draw them as text."""

# fmt: off
FORMATS = (
    "asf", "av1", "avi", "apng", "dv", "flv", "gif", "gxf", "h261", "h263", "h264", "hevc", "ivf", "m4v", "matroska",
    "mjpeg", "mov", "mpeg", "mpegts", "mpegvideo", "mxf", "nut", "obu", "ogg", "rm", "vc1", "vvc", "wtv",
    "yuv4mpegpipe",
    "image2", "bmp_pipe", "exr_pipe", "gif_pipe", "hdr_pipe", "j2k_pipe", "jpeg_pipe", "jpegls_pipe", "jpegxl_anim",
    "jpegxl_pipe", "pam_pipe", "pbm_pipe", "pgm_pipe", "png_pipe", "ppm_pipe", "qoi_pipe", "sgi_pipe", "tiff_pipe",
    "webp_pipe",
)
# fmt: on
"""FFmpeg's names of the formats that are read: videos and images that hold their own frames."""

OPTIONS = {
    "pattern_type": "none",  # the name is not a pattern for several images
    "format_whitelist": ",".join(FORMATS),
    "protocol_whitelist": "file",
    "max_pixels": str(MOST_PIXELS),
}
LENIENT = {"max_pixels": str(MOST_PIXELS)}
"""For TIFF, where FFmpeg takes every tag that it does not know, e.g. the camera's name, for damage."""

DECODING = {**LENIENT, "err_detect": "explode"}


@contextmanager
def opened(path: Path) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and its video stream, to be decoded in this thread, and turn FFmpeg's errors into `InputError`.

    Raises
    ------
    InputError
        If the file is missing, empty, not an ordinary file or not a video or image that is read, or its frames have
        more than `MOST_PIXELS`.
    """
    av = require("av", extra="cpu")
    begin = _begin(path)
    try:
        with av.open(f"file:{path}", options=OPTIONS, metadata_errors="replace") as container:
            stream = _video_stream(container, path)
            _check_first_size(stream, path)
            yield container, stream
    except av.error.FFmpegError as error:
        if _is_text(begin):
            raise _text_error(path) from error
        raise InputError(
            f"{printable(path)} cannot be decoded ({reason(error)}): it is truncated, damaged or not a video; "
            "re-encode it or remove it"
        ) from error


def tried_twice(read: Callable[Concatenate[Path, P], T]) -> Callable[Concatenate[Path, P], T]:
    """Return a reader of files that tells a disk that does not answer from a damaged file.

    FFmpeg reports both as errors of input and output. After a second failure the file is read without FFmpeg: if that
    works, the file is damaged, and the error has no cause. Otherwise its cause is the system's error.
    """

    @wraps(read)
    def again(path: Path, /, *args: P.args, **kwargs: P.kwargs) -> T:
        for _ in range(2):
            try:
                return read(path, *args, **kwargs)
            except InputError as error:
                if not isinstance(error.__cause__, OSError):
                    raise
                failure = error
        if _answers(path):
            failure = InputError(*failure.args)
        raise failure

    return again


def _answers(path: Path) -> bool:
    """Return whether all of a file can be read."""
    try:
        with regular_file(path).open("rb") as file:
            while file.read(2**20):
                pass
    except (OSError, InputError):
        return False
    return True


def check_pixels(path: Path, height: int, width: int, what: str = "frames") -> None:
    """Raise an `InputError` if a frame has more pixels than are decoded.

    Examples
    --------
    >>> check_pixels(Path("a.gif"), 9000, 9000)
    Traceback (most recent call last):
    sdmetrics.errors.InputError: a.gif has frames of 9000 × 9000 pixels; allowed: at most 50331648. Scale them down
    """
    if height * width > MOST_PIXELS:
        raise InputError(
            f"{printable(path)} has {what} of {width} × {height} pixels; allowed: at most {MOST_PIXELS}. Scale them "
            "down"
        )


def reason(error: Exception) -> str:
    """Return FFmpeg's message, without the error number and the function's name."""
    return str(getattr(error, "strerror", None) or error).lower()


def _begin(path: Path) -> bytes:
    """Return the first bytes of a file, if it is an ordinary one."""
    try:
        with regular_file(path).open("rb") as file:
            begin = file.read(1024)
    except OSError as error:
        raise unreadable(path, error) from error
    if not begin:
        raise InputError(f"{printable(path)} is empty (0 bytes); copy it again or remove it")
    if path.suffix.lower() in TEXT_SUFFIXES:
        raise _text_error(path)
    return begin


def _is_text(begin: bytes) -> bool:
    """Return whether a file begins as text does: a playlist, a list or a page that was saved as a video."""
    return not any(byte < 32 and byte not in b"\t\n\f\r" for byte in begin)


def _text_error(path: Path) -> InputError:
    """Return the error for text where a video or an image is expected."""
    return InputError(
        f"{printable(path)} is text, not a video or an image, and what it names is not opened; use the videos "
        "themselves, or a list of them that is supported"
    )


def _video_stream(container: InputContainer, path: Path) -> VideoStream:
    """Return the video stream of a file, set to stop at damage."""
    if not container.streams:
        raise InputError(f"{printable(path)} has no stream: it is truncated or not a video; copy it again or remove it")
    stream = container.streams.best("video")
    if stream is None or stream.disposition & stream.disposition.attached_pic:
        raise InputError(f"{printable(path)} has no video stream; use a file with a video stream or remove it")
    if stream.disposition & stream.disposition.dependent:
        raise InputError(f"{printable(path)} is an image in tiles, which cannot be joined; convert it to JPEG or PNG")
    codec: Any = stream.codec_context
    if codec is None:
        raise InputError(f"{printable(path)} is encoded in a way that FFmpeg does not know; re-encode it or remove it")
    codec.thread_type = "NONE"
    codec.options = LENIENT if codec.name == "tiff" else DECODING
    return cast("VideoStream", stream)


def _check_first_size(stream: VideoStream, path: Path) -> None:
    """Check the size that a file promises; FFmpeg leaves it out where it is over the limit."""
    import av

    height, width = stream.height, stream.width
    if not width:
        with av.open(f"file:{path}", options=OPTIONS, metadata_errors="replace") as again:
            first = next(again.demux(again.streams[stream.index]), None)
            height, width = promised_size(bytes(first) if first else b"")
    check_pixels(path, height, width)


def promised_size(image: bytes) -> tuple[int, int]:
    """Return the `(height, width)` in the header of a PNG, GIF or JPEG; `(0, 0)` for anything else.

    Examples
    --------
    >>> promised_size(b"GIF89a" + bytes([64, 1, 200, 0]))
    (200, 320)
    """
    if image.startswith(b"\x89PNG") and len(image) >= 24:
        width, height = struct.unpack(">II", image[16:24])
        return height, width
    if image.startswith(b"GIF8") and len(image) >= 10:
        width, height = struct.unpack("<HH", image[6:10])
        return height, width
    place = 2 if image.startswith(b"\xff\xd8") else len(image)
    while place + 9 <= len(image):
        marker, length, _, height, width = struct.unpack(">HHBHH", image[place : place + 9])
        if marker & 0xFFF0 == 0xFFC0 and marker not in (0xFFC4, 0xFFC8, 0xFFCC):  # a start of frame
            return height, width
        place += 2 + length
    return 0, 0
