"""Styles learnt from one frame that a filter painted, which flickers: how much of the flicker is left.

    python -m benchmarks.learnt_styles FOLDER [--steps N] [--write docs/styles.md]

The first frame of each video is painted by a filter; the network that learns from it, and the filter, then style the
rest of the video. `FOLDER` holds videos.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.readme import add_write_option, write_between
from sdmetrics.clips.clip import Frames
from sdmetrics.clips.styles.built_in import STYLES
from sdmetrics.clips.styles.networks import NetworkStyle
from sdmetrics.clips.styles.steadiness import STEADY, STRONG, difference, texture_difference, warp_error, warps
from sdmetrics.torch.styling.painted import read_painted
from sdmetrics.torch.styling.train import train_style

Image = NDArray[np.uint8]

SHORT_SIDE = 256
FRAMES = 24
"""Frames after the painted one on which both are measured."""

ERROR = ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1))
"""Where Floyd and Steinberg's dithering puts how many sixteenths of a pixel's error: row, column."""


def sketch(frame: Image) -> Image:
    """Draw with a pencil (OpenCV)."""
    grey, _ = cv2.pencilSketch(frame[..., ::-1], sigma_s=60, sigma_r=0.07, shade_factor=0.02)
    return np.repeat(grey[..., None], 3, axis=-1)


def cartoon(frame: Image) -> Image:
    """Draw flat colours and black outlines."""
    grey = cv2.medianBlur(cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY), 5)
    outlines = cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY, 9, 5)
    flat = cv2.bilateralFilter(frame, 9, 250, 250) // 32 * 32 + 16
    return np.asarray(cv2.bitwise_and(flat, flat, mask=outlines))


def dithered(frame: Image) -> Image:
    """Draw in eight colours, whose errors are passed on to the pixels that follow."""
    values = np.pad(frame.astype(np.float32), ((0, 1), (1, 1), (0, 0)))
    height, width = frame.shape[:2]
    for row in range(height):
        for column in range(1, width + 1):
            error = values[row, column] - (made := np.where(values[row, column] > 127, 255, 0))
            values[row, column] = made
            for down, right, share in ERROR:
                values[row + down, column + right] += error * share / 16
    return values[:height, 1:-1].astype(np.uint8)


def six_colours(frame: Image) -> Image:
    """Draw in the six colours that k-means finds in the frame."""
    points = frame.reshape(-1, 3).astype(np.float32)
    cv2.setRNGSeed(int(points.sum()) % 1000)
    _, nearest, colours = cv2.kmeans(points, 6, None, (3, 10, 1.0), 1, cv2.KMEANS_RANDOM_CENTERS)
    return np.asarray(colours[nearest.ravel()].reshape(frame.shape), np.uint8)


FILTERS: Mapping[str, Callable[[Image], Image]] = {
    "pencil sketch": sketch,
    "cartoon": cartoon,
    "k-means": six_colours,
    "dithering": dithered,
}


def videos(folder: Path) -> list[Path]:
    """Return the videos in a folder."""
    return [file for file in sorted(folder.iterdir()) if cv2.VideoCapture(str(file)).read()[0]]


def decoded(video: Path, count: int) -> Frames:
    """Return the first frames of a video, in the size in which a style is learnt."""
    reader = cv2.VideoCapture(str(video))
    frames = [frame for found, frame in (reader.read() for _ in range(count)) if found]
    scale = SHORT_SIDE / min(frames[0].shape[:2])
    size = (round(frames[0].shape[1] * scale), round(frames[0].shape[0] * scale))
    return np.stack([cv2.resize(frame[..., ::-1], size, interpolation=cv2.INTER_AREA) for frame in frames])


def measured(video: Path, name: str, steps: int) -> list[str]:
    """Measure a filter on a video, and what is learnt from its first frame; return a row of the table."""
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    filtered = FILTERS[name]
    frames = decoded(video, FRAMES + 1)[1:]
    with tempfile.TemporaryDirectory() as there:
        painting, out = Path(there) / "painted.png", Path(there) / "style.onnx"
        _, first = cv2.VideoCapture(str(video)).read()
        cv2.imwrite(str(painting), filtered(np.ascontiguousarray(first[..., ::-1]))[..., ::-1])
        start = time.monotonic()
        train_style(read_painted(video, {0: painting}, SHORT_SIDE), out, steps=steps)
        minutes = (time.monotonic() - start) / 60
        learnt = NetworkStyle(out, threads=1)(frames)
    steady = warps(frames)
    plain = warp_error(frames, steady)
    flickers = np.stack([filtered(frame) for frame in frames])
    strong = min(difference(style(frames), learnt) for style in STYLES.values())
    return [
        video.name,
        name,
        f"{warp_error(flickers, steady) / plain:.1f}",
        f"{warp_error(learnt, steady) / plain:.2f}",
        f"{strong:.2f}",
        f"{difference(frames, learnt):.2f} / {texture_difference(frames, learnt):.2f}",
        f"{difference(flickers, learnt):.2f}",
        f"{minutes:.1f}",
    ]


def main() -> None:
    """Read the command line, print the table and, with `--write FILE`, write it to a file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, help="folder of videos")
    parser.add_argument("--steps", type=int, default=800, help="steps of each training (default: 800)")
    add_write_option(parser, "learnt-styles")
    options = parser.parse_args()
    head = [
        "video",
        "filter",
        "warp error, filter",
        f"learnt (aim ≤ {STEADY})",
        f"least difference from a built-in style (aim ≥ {STRONG})",
        "from the clip: value / texture",
        "from the filter",
        "minutes on a core",
    ]
    lines = [f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head))]
    todo = [(video, name, options.steps) for video in videos(options.folder) for name in FILTERS]
    with ProcessPoolExecutor(mp_context=get_context("spawn")) as pool:
        for row in pool.map(measured, *zip(*todo, strict=True)):
            lines.append(f"| {' | '.join(row)} |")
            print(lines[-1], flush=True)
    told = (
        f"{options.steps} steps on the first frame, short side {SHORT_SIDE}; warp errors relative to the unstyled "
        f"clip, over the {FRAMES} frames that follow; differences in parts of their ranges.\n\n"
    )
    if options.write:
        write_between(options.write, "learnt-styles", told + "\n".join(lines))


if __name__ == "__main__":
    main()
