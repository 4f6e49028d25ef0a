"""How steady and how strong styles are on real clips, to be judged before a model is measured with them.

Steady: a frame, warped along the optical flow of the *unstyled* clip, should look like the next one. The warp error is
the mean absolute difference of the two over the points that are visible in both; a style may not add much to the
unstyled clip's. Strong: two styles should differ in the value of the average point, and in their texture: in the length
of the brightness gradient, in units of the frame's contrast.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.errors import InputError, require

STEADY, STRONG = 2.5, 0.12
"""Bounds: greatest warp error relative to the unstyled clip, least difference in parts of the value range."""

Warp = tuple[NDArray[np.float32], NDArray[np.bool_]]


@dataclass(frozen=True)
class Styled:
    """What styles make of one clip.

    Parameters
    ----------
    steady
        The warp error of each style, relative to that of the unstyled clip; `None` for a clip that stands still.
    strong
        For each two styles how far they differ: in value, parts of its range, and in texture, 0 to 1.
    seconds
        The time of each style, in seconds a frame.
    """

    steady: Mapping[str, float | None]
    strong: Mapping[tuple[str, str], tuple[float, float]]
    seconds: Mapping[str, float]


def styled(frames: Frames, styles: Mapping[str, Style]) -> Styled:
    """Return how steady styles are on consecutive frames of a video, uint8 `(T, H, W, 3)`, and how they differ.

    Raises
    ------
    InputError
        If there are fewer than two frames.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> found = styled(world_clips(1, size=64)[0].frames, {"plain": np.array, "dark": lambda frames: frames // 4})
    >>> found.steady["plain"], found.steady["dark"] < 0.5, found.strong["plain", "dark"][0] > STRONG
    (1.0, True, True)
    """
    if len(frames) < 2:
        raise InputError(f"there are {len(frames)} frames; steadiness is measured from one to the next")
    shown, seconds = {}, {}
    for name, style in styles.items():
        start = time.perf_counter()
        shown[name] = style(frames)
        seconds[name] = (time.perf_counter() - start) / len(frames)
    steps = warps(frames)
    plain = warp_error(frames, steps)
    return Styled(
        {name: warp_error(shown[name], steps) / plain if plain else None for name in styles},
        {(a, b): (difference(shown[a], shown[b]), texture_difference(shown[a], shown[b])) for a, b in pairs(styles)},
        seconds,
    )


def pairs(styles: Mapping[str, Style]) -> list[tuple[str, str]]:
    """Return each two of the styles."""
    return list(itertools.combinations(styles, 2))


def warps(frames: Frames) -> list[Warp]:
    """Return, per step, where each point of the next frame was, `(H, W, 2)`, and whether it was visible."""
    cv2 = require("cv2", extra="cpu")
    flow = cv2.DISOpticalFlow_create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    grey = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in frames]
    here = np.stack(np.meshgrid(*map(np.arange, grey[0].shape[::-1])), axis=-1).astype(np.float32)
    steps = []
    for before, after in itertools.pairwise(grey):
        back, forth = flow.calc(after, before, None), flow.calc(before, after, None)
        origin = here + back
        returned = cv2.remap(forth, origin, None, cv2.INTER_LINEAR, borderValue=(1e6, 1e6))
        steps.append((origin, np.linalg.norm(back + returned, axis=-1) < 1))
    return steps


def warp_error(frames: Frames, steps: Sequence[Warp]) -> float:
    """Return the mean absolute difference between each frame and its warped predecessor, at points visible in both."""
    cv2 = require("cv2", extra="cpu")
    errors = []
    for before, after, (origin, visible) in zip(frames[:-1], frames[1:], steps, strict=True):
        warped = cv2.remap(before, origin, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        errors.append(cv2.absdiff(warped, after)[visible].mean())
    return float(np.mean(errors))


def difference(one: Frames, other: Frames) -> float:
    """Return the mean absolute difference in parts of the value range."""
    cv2 = require("cv2", extra="cpu")
    return float(np.mean([cv2.absdiff(a, b).mean() for a, b in zip(one, other, strict=True)]) / 255)


def texture_difference(one: Frames, other: Frames) -> float:
    """Return how far the lengths of the gradients differ: 0 if they are equal, 1 if they never overlap."""
    parts = []
    for a, b in zip(map(_gradient, one), map(_gradient, other), strict=True):
        parts.append(np.abs(a - b).mean() / max(np.maximum(a, b).mean(), np.finfo(np.float32).tiny))
    return float(np.mean(parts))


def _gradient(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the length of the brightness gradient in units of the frame's contrast."""
    cv2 = require("cv2", extra="cpu")
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    length: NDArray[np.float32] = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    return length / np.float32(max(grey.std(), 1))
