"""The contact sheet: an image of the pairs of views of a few clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sdmetrics._files import replacing
from sdmetrics._text import printable
from sdmetrics.clips.clip import Frames
from sdmetrics.clips.views import PAIRS, VIEWS_PER_CLIP
from sdmetrics.errors import InputError, require

Colour = tuple[int, int, int]
Canvas = NDArray[np.uint8]

MOTIONS = {"order": ("in order", "in order", "shuffled"), "flow": ("own flow", "own flow", "jittered flow")}
"""The caption of the motion in each view, if motion is altered by the order of frames or in the flow."""
COLOURS: dict[str, Colour] = {"dynamic": (31, 95, 191), "static": (200, 44, 44)}
"""Colours as in the paper: dynamic is blue, static is red."""
LEGEND = {"dynamic": "dynamic pair: different style", "static": "static pair: different motion"}

DARK, GREY = (32, 34, 40), (110, 114, 124)
MARGIN, GAP, LINE = 24, 4, 30
CAPTIONS, BRACKETS = 140, 130
STRIP, THUMBNAIL = 1280, 160
"""The maximum width of a strip and the maximum height of a frame, in pixels."""


@dataclass(frozen=True)
class SheetRow:
    """The views of a clip: the style and the frames `(T, H, W, 3)` of each view, in the order that the model reads.

    `motion` names what differs in the last view: the `"order"` of the frames, or the `"flow"`, the second image.
    """

    clip_id: str
    views: Sequence[tuple[str, Frames]]
    motion: str = "order"


def contact_sheet(rows: Sequence[SheetRow], path: str | Path) -> Path:
    """Write a PNG image that shows the three views of each clip and the two pairs they form. Return its path.

    Every frame is marked with its number in the clip, which shows the shuffle.

    Raises
    ------
    InputError
        If there are no clips, a clip does not have three views, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> frames = np.zeros((4, 16, 16, 3), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     contact_sheet([SheetRow("wave", [("ink", frames)] * 3)], Path(folder) / "pairs.png").name
    'pairs.png'
    """
    if not rows:
        raise InputError("there are no clips to show; pass at least one")
    for row in rows:
        if len(row.views) != VIEWS_PER_CLIP:
            raise InputError(f"clip {row.clip_id!r} has {len(row.views)} views; expected {VIEWS_PER_CLIP}")
    blocks = [_block(row) for row in rows]
    return _saved([_legend(max(block.shape[1] for block in blocks)), *blocks], path)


def manipulation_sheet(clips: Mapping[str, Sequence[tuple[str, Frames]]], path: str | Path) -> Path:
    """Write a PNG image with a strip of frames for each view of each clip, by its id. Return its path.

    A view is its name and its frames `(T, H, W, 3)`, the first the clip as it is; frames are marked with their numbers
    in that.

    Raises
    ------
    InputError
        If there are no clips, or the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> frames = np.zeros((4, 16, 16, 3), np.uint8)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     manipulation_sheet({"wave": [("untouched", frames), ("reverse", frames)]}, Path(folder) / "m.png").name
    'm.png'
    """
    if not clips:
        raise InputError("there are no clips to show; pass at least one")
    blocks = []
    for clip_id, views in clips.items():
        strips = [(name, _strip(frames, _numbers(frames, views[0][1]))) for name, frames in views]
        height, width, _ = strips[0][1].shape
        canvas = _empty(LINE + len(strips) * (height + GAP) + MARGIN, 2 * MARGIN + CAPTIONS + width)
        _write(canvas, clip_id, MARGIN + CAPTIONS, LINE - 10, DARK)
        for number, (name, strip) in enumerate(strips):
            top = LINE + number * (height + GAP)
            canvas[top : top + height, MARGIN + CAPTIONS : MARGIN + CAPTIONS + width] = strip
            _write(canvas, name, MARGIN, top + height // 2, DARK)
        blocks.append(canvas)
    return _saved(blocks, path)


def _saved(blocks: Sequence[Canvas], path: str | Path) -> Path:
    """Write blocks below each other, all of the same width, as a PNG image."""
    cv2 = require("cv2", extra="cpu")
    width = max(block.shape[1] for block in blocks)
    image = np.concatenate([_widened(block, width) for block in blocks])
    path = Path(path)
    with replacing(path) as temporary:
        _, png = cv2.imencode(".png", np.ascontiguousarray(image[..., ::-1]))
        temporary.write_bytes(png.tobytes())
    return path


def _legend(width: int) -> Canvas:
    """Draw the legend of the colours."""
    canvas = _empty(MARGIN + LINE, width)
    x = MARGIN + CAPTIONS
    for factor, meaning in LEGEND.items():
        x += _write(canvas, meaning, x, MARGIN + 8, COLOURS[factor]) + 2 * MARGIN
    return canvas


def _block(row: SheetRow) -> Canvas:
    """Draw one clip: its name, its three strips with captions, and a bracket per pair."""
    strips = [
        _strip(frames, _numbers(frames, row.views[0][1]) if row.motion == "order" else ["frame", "flow"])
        for _, frames in row.views
    ]
    height, width, _ = strips[0].shape
    canvas = _empty(LINE + VIEWS_PER_CLIP * (height + GAP) + MARGIN, 2 * MARGIN + CAPTIONS + width + BRACKETS)
    _write(canvas, row.clip_id, MARGIN + CAPTIONS, LINE - 10, DARK)
    middles = []
    for number, ((style, _), strip) in enumerate(zip(row.views, strips, strict=True)):
        top, left = LINE + number * (height + GAP), MARGIN + CAPTIONS
        canvas[top : top + height, left : left + width] = strip
        middles.append(top + height // 2)
        _write(canvas, f"{number + 1}  {style}", MARGIN, middles[-1] - 4, DARK)
        _write(canvas, MOTIONS[row.motion][number], MARGIN + 16, middles[-1] + 14, GREY)
    lanes = MARGIN + CAPTIONS + width + 2 * GAP
    for lane, (factor, (first, second)) in enumerate(PAIRS.items()):
        right, top, bottom = lanes + 16 + 20 * lane, middles[first] - 5 + 10 * lane, middles[second]
        canvas[top : top + 3, lanes:right] = COLOURS[factor]
        canvas[top : bottom + 3, right : right + 3] = COLOURS[factor]
        canvas[bottom : bottom + 3, lanes:right] = COLOURS[factor]
        _write(canvas, factor, lanes + 52, bottom + 6, COLOURS[factor])
    return canvas


def _strip(frames: Frames, names: Sequence[int | str]) -> Canvas:
    """Put the frames side by side, each with its number or name."""
    import cv2

    count, height, width, _ = frames.shape
    scale = min(THUMBNAIL / height, (STRIP / count - GAP) / width)
    shape = max(1, round(width * scale)), max(1, round(height * scale))
    strip = _empty(shape[1], count * (shape[0] + GAP))
    for place, (frame, name) in enumerate(zip(frames, names, strict=True)):
        left = place * (shape[0] + GAP)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        strip[:, left : left + shape[0]] = cv2.resize(np.ascontiguousarray(frame), shape, interpolation=method)
        strip[:16, left : left + 9 + 9 * len(str(name))] = DARK
        _write(strip, str(name), left + 4, 12, (255, 255, 255))
    return strip


def _numbers(frames: Frames, reference: Frames) -> list[int]:
    """Return the numbers of a view's frames in the first view; frames of another style are numbered by position."""
    place = {frame.tobytes(): number for number, frame in reversed(list(enumerate(reference, 1)))}
    return [place.get(frame.tobytes(), number) for number, frame in enumerate(frames, 1)]


def _write(canvas: Canvas, text: str, x: int, y: int, colour: Colour) -> int:
    """Draw a line of text from `x`, on the baseline `y`. Return its width."""
    import cv2

    # OpenCV ends the process at half of a surrogate pair.
    font, size, shown = cv2.FONT_HERSHEY_SIMPLEX, 0.5, printable(text)
    cv2.putText(canvas, shown, (x, y), font, size, colour, 1, cv2.LINE_AA)
    return int(cv2.getTextSize(shown, font, size, 1)[0][0])


def _empty(height: int, width: int) -> Canvas:
    """Return a white canvas."""
    return np.full((height, width, 3), 255, np.uint8)


def _widened(block: Canvas, width: int) -> Canvas:
    """Pad a block to a width."""
    return np.concatenate([block, _empty(block.shape[0], width - block.shape[1])], axis=1)
