"""Whether the end of a video file is missing, as far as the file proves it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics._text import printable
from sdmetrics.clips.iso_boxes import promised_end
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream

LOST = 0.02
"""Share of the frames that may be missing in a complete AVI file: its header counts dropped frames."""

EBML, SEGMENT = b"\x1a\x45\xdf\xa3", b"\x18\x53\x80\x67"
"""How a Matroska file begins, and how the element begins that holds all of the rest."""


def check_whole(container: InputContainer, stream: VideoStream, path: Path, packets: int) -> None:
    """Raise an `InputError` if bytes of the video are missing; `packets` is how many were found.

    A count in the header proves nothing in MP4 and MOV files, where an edit list hides frames.
    """
    size = path.stat().st_size
    formats = container.format.name.split(",")
    if "avi" in formats and packets < (1 - LOST) * stream.frames:
        raise _truncated(path, f"{packets} of its {stream.frames} frames")
    end = 0
    if "mov" in formats:
        end = promised_end(path)
    elif "matroska" in formats:
        with path.open("rb") as file:
            end = segment_end(file.read(256))
    if size < end:
        raise _truncated(path, f"{size} of its {end} bytes")


def _truncated(path: Path, present: str) -> InputError:
    """Return the error for a file whose end is missing."""
    return InputError(f"{printable(path)} is truncated: only {present} are present; copy it again or remove it")


def segment_end(begin: bytes) -> int:
    """Return where a Matroska file ends by its own account; 0 if it does not tell.

    Examples
    --------
    >>> segment_end(EBML + bytes([0x81, 0]) + SEGMENT + bytes([0x40, 100]) + b"...")
    112
    """
    if not begin.startswith(EBML):
        return 0
    length, start = _number(begin, len(EBML))
    segment = start + length
    if begin[segment : segment + 4] != SEGMENT:
        return 0
    length, start = _number(begin, segment + 4)
    return start + length if length else 0


def _number(content: bytes, place: int) -> tuple[int, int]:
    """Return a number of Matroska's variable length, 0 if it is unknown, and the place after it."""
    width = 9 - (content[place] if place < len(content) else 0).bit_length()
    unknown = (1 << 7 * width) - 1
    number = int.from_bytes(content[place : place + width], "big") & unknown
    return (0 if width > 8 or number == unknown else number), place + width
