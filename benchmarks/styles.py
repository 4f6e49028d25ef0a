"""Measure how steady and how strong styles are on real clips.

`python -m benchmarks.styles FOLDER` prints the tables for the built-in styles; with `--styles A.onnx ink …`, those for
networks and for the named built-in styles.

Steady: a frame, warped along the optical flow of the *unstyled* clip, should look like the next one. The warp
error is the mean absolute difference of the two over the points that are visible in both; a style may not add
much to the unstyled clip's. Strong: two styles should differ in the value of the average point, and in their
texture: in the length of the brightness gradient, in units of the frame's contrast.
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections.abc import Mapping, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Frames
from sdmetrics.clips.open import list_clips
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.clips.styles.built_in import STYLES, Style
from sdmetrics.clips.styles.networks import open_styles

STEADY, STRONG = 2.5, 0.12
"""Bounds: greatest warp error relative to the unstyled clip, least difference in parts of the value range."""

Warp = tuple[NDArray[np.float32], NDArray[np.bool_]]


def warps(frames: Frames) -> list[Warp]:
    """Return, per step, where each point of the next frame was, `(H, W, 2)`, and whether it was visible."""
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
    errors = []
    for before, after, (origin, visible) in zip(frames[:-1], frames[1:], steps, strict=True):
        warped = cv2.remap(before, origin, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        errors.append(cv2.absdiff(warped, after)[visible].mean())
    return float(np.mean(errors))


def difference(one: Frames, other: Frames) -> float:
    """Return the mean absolute difference in parts of the value range."""
    return float(np.mean([cv2.absdiff(a, b).mean() for a, b in zip(one, other, strict=True)]) / 255)


def texture_difference(one: Frames, other: Frames) -> float:
    """Return how far the lengths of the gradients differ: 0 if they are equal, 1 if they never overlap."""
    parts = []
    for a, b in zip(map(_gradient, one), map(_gradient, other), strict=True):
        parts.append(np.abs(a - b).mean() / np.maximum(a, b).mean())
    return float(np.mean(parts))


def _gradient(frame: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Return the length of the brightness gradient in units of the frame's contrast."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)) / max(grey.std(), 1)


def main() -> None:
    """Read the command line and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", help="Folder of videos.")
    parser.add_argument(
        "--styles",
        nargs="+",
        default=STYLES,
        help="ONNX networks and names of built-in styles; default: all built-in styles.",
    )
    options = parser.parse_args()
    measure(options.folder, open_styles(options.styles, threads=1))


def measure(folder: str, styles: Mapping[str, Style]) -> None:
    """Print the tables."""
    cv2.setNumThreads(1)
    pairs = list(itertools.combinations(styles, 2))
    seconds = dict.fromkeys(styles, np.inf)
    steady, strong = [], []
    for clip in list_clips(ClipRequest(folder), ClipShape(frames=8, stride=1, size=(224, 224))):
        frames = clip.frames
        styled = {}
        for name, style in styles.items():
            start = time.perf_counter()
            styled[name] = style(frames)
            seconds[name] = min(seconds[name], (time.perf_counter() - start) / len(frames))
        steps = warps(frames)
        plain = warp_error(frames, steps)
        steady.append([clip.id, *(f"{warp_error(styled[name], steps) / plain:.2f}" for name in styles)])
        both = [(styled[a], styled[b]) for a, b in pairs]
        strong.append([clip.id, *(f"{difference(*p):.2f} / {texture_difference(*p):.2f}" for p in both)])
    print(f"Warp error relative to the unstyled clip (at most {STEADY}); time at 224 × 224 on one thread\n")
    _table(["clip", *styles], [*steady, ["ms a frame", *(f"{1e3 * seconds[name]:.1f}" for name in styles)]])
    print(f"\nDifference in value (at least {STRONG}) / in texture\n")
    _table(["clip", *(f"{a}, {b}" for a, b in pairs)], strong)


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a Markdown table."""
    for row in (head, ["---"] * len(head), *rows):
        print(f"| {' | '.join(row)} |")


if __name__ == "__main__":
    main()
