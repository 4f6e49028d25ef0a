"""The built-in styles, which change colour, intensity and texture and preserve motion (paper, Sec. 3.1).

A style processes each frame separately and without randomness, so what is still in the clip is still in the style. No
style draws a pattern that is fixed to the screen, because the pattern would not move with the scene.
`sdmetrics style check` measures how steady and how strong the styles are. Lengths are fractions of the short side, so a
style looks the same at every resolution.

Examples
--------
>>> black = np.zeros((2, 32, 32, 3), np.uint8)
>>> {name: style(black)[0, 0, 0].tolist() for name, style in STYLES.items()}
{'ink': [181, 165, 152], 'neon': [14, 8, 46], 'oil': [56, 17, 0], 'patina': [98, 176, 149]}
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames

Style = Callable[[Frames], Frames]
"""A function that restyles a clip, uint8 `(T, H, W, 3)` RGB, to the same shape."""

Image = NDArray[np.uint8]
Plane = NDArray[np.float32]

STYLES_VERSION = 1
"""Increased when the result of a style changes; part of a run's fingerprint."""


def ink(frames: Frames) -> Frames:
    """Draw dark lines and a light wash on warm paper."""
    return _each(_ink, frames)


def neon(frames: Frames) -> Frames:
    """Let contours glow, cyan in dark and pink in bright places, on a ground of night blue."""
    return _each(_neon, frames)


def oil(frames: Frames) -> Frames:
    """Paint flat patches with clear borders in warm, strong colours."""
    return _each(_oil, frames)


def patina(frames: Frames) -> Frames:
    """Emboss the frame in green copper, lit from the upper left, with dark and bright swapped."""
    return _each(_patina, frames)


STYLES: Mapping[str, Style] = MappingProxyType({"ink": ink, "neon": neon, "oil": oil, "patina": patina})
"""The built-in styles by name."""


def style_identity(style: Style) -> dict[str, Any]:
    """Return what identifies a style in a run's settings.

    This is the style's own `identity` if it has one, as networks do (`sdmetrics.clips.styles.networks.NetworkStyle`).
    Any other function is identified only by its name, and by the arguments that `functools.partial` binds, so a run
    does not notice changes to its code.

    Examples
    --------
    >>> style_identity(ink), style_identity(np.copy)
    ({'built_in': 'version 1'}, {'function': 'numpy.copy'})
    """
    if style in STYLES.values():
        return {"built_in": f"version {STYLES_VERSION}"}
    if isinstance(style, partial):
        bound = {"arguments": repr((style.args, sorted(style.keywords.items())))}
        return {**style_identity(style.func), **bound}
    named = style if hasattr(style, "__qualname__") else type(style)
    return dict(getattr(style, "identity", None) or {"function": f"{named.__module__}.{named.__qualname__}"})


def _each(style: Callable[[Image], Image], frames: Frames) -> Frames:
    """Apply a style frame by frame."""
    return np.stack([style(frame) for frame in np.ascontiguousarray(frames)])


def _palette(*stops: tuple[float, tuple[int, int, int]]) -> Image:
    """Return a table of 256 colours, interpolated between the given colours at the given tones, 0 to 1."""
    tones = np.linspace(0, 1, 256)
    colours = np.array([colour for _, colour in stops], np.float64)
    channels = [np.interp(tones, [tone for tone, _ in stops], colours[:, c]) for c in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)[None]


PAPER = _palette((0, (24, 18, 48)), (0.45, (140, 122, 118)), (0.8, (236, 222, 198)), (1, (255, 250, 238)))
COPPER = _palette((0, (4, 26, 38)), (0.35, (14, 86, 92)), (0.65, (70, 160, 136)), (1, (206, 240, 200)))
NIGHT, CYAN, PINK = np.array([(14, 8, 46), (20, 190, 230), (245, 60, 180)], np.float32)
# Colours 1.7 times as far from grey, tinted, on a warm ground. The last column of the matrix is added.
SATURATED = 1.7 * np.eye(3) - 0.7 / 3
GLAZE = np.column_stack([np.diag((1, 0.72, 0.3)) @ SATURATED, 255 * np.array((0.22, 0.07, 0))])


def _ink(frame: Image) -> Image:
    """Draw a line where the frame is darker than its surroundings, relative to them."""
    grey = _grey(frame)
    fine, coarse = _blurred(grey, 0.006), _blurred(grey, 0.018)
    line: Plane = np.clip(3.2 * (coarse - fine) / (0.1 + 0.3 * coarse) - 0.1, 0, 1).astype(np.float32)
    return _coloured((0.6 + 0.4 * fine) * (1 - 0.8 * line), PAPER)


def _neon(frame: Image) -> Image:
    """Let the length of the gradient glow."""
    grey = _blurred(_grey(frame), 0.006)
    contour = np.tanh(9 * np.hypot(*_slopes(grey)))
    glow = (0.6 * contour + 0.45 * _blurred(contour, 0.02))[..., None]
    grey = grey[..., None]
    return _bytes(NIGHT * (1 + 1.2 * grey) + (CYAN + (PINK - CYAN) * grey) * glow)


def _oil(frame: Image) -> Image:
    """Paint every point like the most uniform of the four squares with a corner there (Kuwahara et al., 1976).

    The four squares are averaged with their evenness as weight, because points that switch squares would flicker.
    """
    import cv2

    reach = max(1, round(0.012 * min(frame.shape[:2])))
    square = (2 * reach + 1, 2 * reach + 1)
    grey, colour = _grey(frame), frame.astype(np.float32)
    variance = np.maximum(cv2.blur(grey * grey, square) - cv2.blur(grey, square) ** 2, 0)
    evenness = (1 / (variance + 2e-4) ** 2)[..., None]
    weighted = np.concatenate([cv2.blur(colour, square) * evenness, evenness], axis=-1)
    ends = np.zeros(2 * reach + 1, np.float32)
    ends[[0, -1]] = 1
    corners = np.asarray(cv2.sepFilter2D(weighted, -1, ends, ends), np.float32)
    paint = corners[..., :3] / corners[..., 3:]
    return _bytes(np.asarray(cv2.transform(paint, GLAZE), np.float32))


def _patina(frame: Image) -> Image:
    """Light the slopes towards the upper left, and swap dark and bright."""
    grey = _blurred(_grey(frame), 0.005)
    right, down = _slopes(grey)
    return _coloured(0.725 - 0.45 * grey + 0.55 * np.tanh(3.5 * (right + down)), COPPER)


def _grey(frame: Image) -> Plane:
    """Return the luminance, 0 to 1."""
    import cv2

    return cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32) / np.float32(255)


def _blurred(plane: Plane, part: float) -> Plane:
    """Blur by a Gaussian whose standard deviation is the fraction `part` of the short side."""
    import cv2

    return np.asarray(cv2.GaussianBlur(plane, (0, 0), max(part * min(plane.shape), 0.3)), np.float32)


def _slopes(plane: Plane) -> tuple[Plane, Plane]:
    """Return the slopes of a plane to the right and downwards, in values per 1/112 of the short side."""
    import cv2

    scale = min(plane.shape) / (8 * 112)
    right, down = (cv2.Sobel(plane, cv2.CV_32F, dx, 1 - dx, scale=scale) for dx in (1, 0))
    return np.asarray(right, np.float32), np.asarray(down, np.float32)


def _coloured(tone: Plane, palette: Image) -> Image:
    """Map every tone, 0 to 1, to its colour in the palette."""
    import cv2

    return np.asarray(cv2.LUT(cv2.merge([_bytes(255 * tone)] * 3), palette), np.uint8)


def _bytes(values: NDArray[np.float32]) -> Image:
    """Clip values to 0–255 and convert them to uint8."""
    return np.clip(values, 0, 255).astype(np.uint8)
