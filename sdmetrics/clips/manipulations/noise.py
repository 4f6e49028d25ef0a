"""Appearance-free video: noise that moves as the video does (after Ilic, Pock and Wildes, ECCV 2022).

A frame's pixels are grains of noise. Each grain is carried along the optical flow, in fractions of a pixel, and shown
in the pixel that it comes nearest to. A pixel that no grain comes to gets a new one; of several that come to one pixel
a single one stays. So a grain is never doubled, stretched or blended with others, and which grain goes where does not
depend on their colours: every frame, taken alone, is white noise of exactly the same distribution, whatever the video
shows. All that a video says is in how its frames follow each other.

Limits: the motion is what the estimated flow says, which is smooth across the edges of objects, misses what has no
texture, and fails for jumps of many pixels (a large stride). Grains that appear and disappear at an object's edges
flicker, which shows where it covers and uncovers the background, as its motion does. A zoom thins the noise out, which
is filled up with new grains. Noise has more detail than the videos that models are trained on: a model that fails on it
need not be blind to motion.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.flow.estimate import estimate_flow
from sdmetrics.clips.render import Shown

Vectors = NDArray[np.float32]
Places = NDArray[np.int64]

STEPS = 1 << 10
"""How finely distances from the middle of a pixel are compared."""

AS_WELL = 1.5
"""How much worse than the estimate, in differences of pixels, a clip's own flow may match its frames: the estimator
chooses what looks alike, and true flow does not where something is covered."""

UNTAKEN = np.iinfo(np.int64).max


def appearance_free(clip: Clip, shown: Shown, rng: np.random.Generator) -> Shown:
    """Replace frames by noise that moves as they do; optical flow, which shows no appearance, stays as it is."""
    frames = clip.frames
    return {**shown, "rgb": carried_noise(frames, motion_of(clip, frames), rng)}


def motion_of(clip: Clip, frames: Frames) -> Vectors:
    """Return the flow from each frame of a clip to the next, float32 `(T - 1, H, W, 2)`.

    It is estimated, unless the clip has vectors of its own that match its frames about as well: flow leads to the next
    frame of the *video*, which is not the clip's next one if frames in between are left out.
    """
    if len(frames) < 2:
        return np.empty((0, *frames.shape[1:3], 2), np.float32)
    estimated = estimate_flow(frames[:-1], frames[1:])
    own = None if clip.load_flow is None else clip.flow
    if own is None or own.dtype != np.float32 or own.shape[:3] != frames.shape[:3]:
        return estimated
    return own[:-1] if _mismatch(frames, own[:-1]) <= AS_WELL * _mismatch(frames, estimated) else estimated


def carried_noise(frames: Frames, flow: Vectors, rng: np.random.Generator) -> Frames:
    """Return noise carried along the flow of a video, uint8 like `frames`.

    Parameters
    ----------
    frames
        uint8 `(T, H, W, 3)`. Where several grains come to one pixel, the one stays that in these frames looks most like
        the pixel that it comes to: what is in front.
    flow
        float32 `(T - 1, H, W, 2)`, pixels right and down from each frame to the next.
    rng
        Draws the noise: every channel of every pixel uniformly from 0 to 255.

    Examples
    --------
    >>> frames = np.zeros((2, 4, 5, 3), np.uint8)
    >>> noise = carried_noise(frames, np.full((1, 4, 5, 2), [1, 0], np.float32), np.random.default_rng(0))
    >>> np.array_equal(noise[1, :, 1:], noise[0, :, :-1])
    True
    """
    noise = rng.integers(0, 256, frames.shape, np.uint8)
    offset = np.zeros((*frames.shape[1:3], 2), np.float32)
    for number, vectors in enumerate(flow):
        source, target, offset = _carried(frames[number], frames[number + 1], vectors, offset)
        noise[number + 1].reshape(-1, 3)[target] = noise[number].reshape(-1, 3)[source]
    return noise


def _carried(
    first: NDArray[np.uint8], second: NDArray[np.uint8], vectors: Vectors, offset: Vectors
) -> tuple[Places, Places, Vectors]:
    """Return which pixels' grains come to which pixels, and how far from these pixels' middles, `(H, W, 2)`.

    `offset` is how far from their pixels' middles the grains are now. No pixel is in either list twice.
    """
    target, away, inside = _arrivals(vectors, offset)
    places = np.flatnonzero(inside)
    arrived = target[places]
    difference = np.abs(first.reshape(-1, 3)[places].astype(np.int64) - second.reshape(-1, 3)[arrived]).sum(axis=1)
    distance = (np.square(away[places]).sum(axis=1) * STEPS).astype(np.int64)
    # One number orders the grains of a pixel: by difference, then by distance, then by place.
    rank = (difference * STEPS + distance) * len(target) + places
    best = np.full(len(target), UNTAKEN)
    np.minimum.at(best, arrived, rank)
    taken = np.flatnonzero(best != UNTAKEN)
    source = best[taken] % len(target)
    after = np.zeros_like(away)
    after[taken] = away[source]
    return source, taken, after.reshape(offset.shape)


def _arrivals(vectors: Vectors, offset: Vectors | float = 0) -> tuple[Places, Vectors, NDArray[np.bool_]]:
    """Return the pixel that each pixel's grain comes nearest to, how far from it, and whether it is in the frame."""
    height, width, _ = vectors.shape
    moved = (offset + vectors).reshape(-1, 2)
    steps = np.floor(moved + np.float32(0.5))
    down, right = np.divmod(np.arange(height * width), width)
    x, y = right + steps[:, 0], down + steps[:, 1]
    inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
    target = np.where(inside, y * width + x, 0).astype(np.int64)
    return target, moved - steps, inside


def _mismatch(frames: Frames, flow: Vectors) -> float:
    """Return how much the pixels of a frame differ from those that the flow leads them to in the next, on average."""
    total, count = 0, 0
    for number, vectors in enumerate(flow):
        target, _, inside = _arrivals(vectors)
        one, other = frames[number].reshape(-1, 3)[inside], frames[number + 1].reshape(-1, 3)[target[inside]]
        total += int(np.abs(one.astype(np.int64) - other).sum())
        count += one.size
    return total / count if count else np.inf
