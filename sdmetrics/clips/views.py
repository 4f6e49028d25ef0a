"""Views and pairs: what a clip is turned into so that two views share one factor only (paper, Sec. 3.1).

This module describes; `sdmetrics.clips.render` draws. A clip gives three views and two pairs:

====  =======  =================  ======================================
view  style    motion             pairs
====  =======  =================  ======================================
0     a        as it is           dynamic with 1, static with 2
1     b        as it is           same motion as 0, another style
2     a        other motion       same style as 0, another motion
====  =======  =================  ======================================

Other motion: the frames are shuffled, by itself for every model input that reads several; of a model that reads optical
flow, the flow is jittered (and its inputs of a single frame stay what they are).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError

PAIRS: Mapping[str, tuple[int, int]] = {"dynamic": (0, 1), "static": (0, 2)}
"""For each factor the two views, by index, that share it."""

FACTORS = tuple(PAIRS)
VIEWS_PER_CLIP = 3

SOURCES: Mapping[str, int] = {"rgb": 3, "flow": 3, "flow_vectors": 2}
"""What a model input can be fed from, and its channels: frames; optical flow as a colour-coded picture; optical flow as
vectors, pixels right and down per frame."""

FLOWS = ("flow", "flow_vectors")
"""The sources that show motion in a single frame."""


@dataclass(frozen=True)
class ModelInput:
    """One input of a video model and how it is fed from a clip.

    Parameters
    ----------
    name
        The input's name in the model.
    source
        What it is fed from: a clip's `"rgb"`; its optical flow as a picture, direction coded by hue and magnitude by
        saturation, `"flow"`; or as two channels, `"flow_vectors"`.
    frames, stride
        Frames the model reads, and the distance between them in the video.
    size
        `(height, width)` in pixels.
    layout
        The order of the axes the model wants: a permutation of `N`, `C`, `T`, `H`, `W`; without `T` for one frame.
    mean, std
        Per RGB channel, for values scaled to 0–1: the model reads `(frames / 255 - mean) / std`. Vectors are passed as
        they are.

    Examples
    --------
    >>> ModelInput("video", frames=8, stride=8, size=(224, 224)).layout
    'NCTHW'
    """

    name: str
    source: str = "rgb"
    frames: int = 8
    stride: int = 8
    size: tuple[int, int] = (224, 224)
    layout: str = "NCTHW"
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(f"input {self.name!r} has the source {self.source!r}; allowed: {', '.join(SOURCES)}")
        if sorted(self.layout) not in (sorted("NCTHW"), sorted("NCHW")) or self.layout[0] != "N":
            raise InputError(
                f"input {self.name!r} has the layout {self.layout!r}; allowed: N first, then C, T, H and W in any "
                "order (NCTHW, NTCHW, NTHWC, …), or without T (NCHW, NHWC) for single frames"
            )
        if self.frames < 1 or self.stride < 1 or min(self.size) < 1:
            raise InputError(
                f"input {self.name!r} asks for {self.frames} frames, stride {self.stride}, size {self.size}; "
                "each must be at least 1"
            )
        if min(self.std) <= 0:
            raise InputError(f"input {self.name!r} has the std {self.std}; each must be above 0")
        if "T" not in self.layout and self.frames != 1:
            raise InputError(
                f"input {self.name!r} has the layout {self.layout!r}, which has no time axis, and {self.frames} "
                "frames; give frames=1 or a layout with T"
            )

    @property
    def channels(self) -> int:
        """Number of channels that it reads."""
        return SOURCES[self.source]


@dataclass(frozen=True)
class View:
    """What is fed to the model once: a clip in one style and, per model input, one order of its frames.

    `jittered` says whether the optical flow is another one than the clip's.
    """

    style: str
    orders: Mapping[str, NDArray[np.int64]]
    jittered: bool = False


def clip_generator(seed: int, clip_id: str) -> np.random.Generator:
    """Return the generator of one clip: the same for the same seed and id, wherever and whenever it is asked for."""
    digest = hashlib.sha256(clip_id.encode()).digest()
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32)])


def frame_order(total: int, frames: int) -> NDArray[np.int64]:
    """Return the `frames` indices, evenly spread over a clip of `total` frames, that one model input reads.

    Examples
    --------
    >>> frame_order(32, 8).tolist()
    [0, 4, 8, 13, 17, 22, 26, 31]
    """
    return np.linspace(0, total - 1, frames).astype(np.int64)


def shuffled(
    order: NDArray[np.int64], content: NDArray[np.int64], rng: np.random.Generator, name: str = "input"
) -> NDArray[np.int64]:
    """Return a random permutation of `order` `(T',)` that shows another sequence of frames.

    `content` `(T,)` numbers the clip's frames by what they show: equal frames (a short video that was cycled, a still
    camera) have equal numbers.

    Raises
    ------
    InputError
        If every permutation shows the same sequence of frames.

    Examples
    --------
    >>> shuffled(np.arange(2), np.arange(2), np.random.default_rng(0)).tolist()
    [1, 0]
    """
    shown = content[order]
    if len(set(shown.tolist())) < 2:
        raise InputError(
            f"model input {name!r} reads {len(order)} frame(s) that all show the same, which cannot be shuffled; "
            "a static pair needs at least two different frames"
        )
    while True:
        permuted = rng.permutation(order)
        if not np.array_equal(content[permuted], shown):
            return permuted


def draw_styles(styles: Sequence[str], rng: np.random.Generator) -> tuple[str, str]:
    """Return a uniformly random ordered pair of styles (a, b), a ≠ b.

    Raises
    ------
    InputError
        With fewer than two styles.

    Examples
    --------
    >>> sorted(draw_styles(["ink", "oil"], np.random.default_rng(0)))
    ['ink', 'oil']
    """
    if len(set(styles)) < 2:
        raise InputError(f"styles are {list(styles)}; a dynamic pair needs at least two different styles")
    a, b = rng.choice(len(styles), size=2, replace=False)
    return styles[a], styles[b]


def draw_views(
    a: str, b: str, inputs: Sequence[ModelInput], content: NDArray[np.int64], rng: np.random.Generator
) -> tuple[View, View, View]:
    """Return the three views of a clip; `PAIRS` says which two share which factor.

    `content` is as in `shuffled`. In the last view every model input is shuffled by itself; of a model that reads flow,
    the inputs of flow are jittered instead, and those of a single frame stay in order.

    Raises
    ------
    InputError
        If a model input has to be shuffled and cannot be.

    Examples
    --------
    >>> rng = clip_generator(seed=0, clip_id="wave")
    >>> one, two, three = draw_views("ink", "oil", [ModelInput("video", frames=4)], np.arange(4), rng)
    >>> one.orders["video"].tolist(), one.style == three.style, one.style == two.style
    ([0, 1, 2, 3], True, False)
    """
    in_order = {i.name: frame_order(len(content), i.frames) for i in inputs}
    permuted = {i.name: shuffled(in_order[i.name], content, rng, i.name) for i in to_shuffle(inputs)}
    return View(a, in_order), View(b, in_order), View(a, in_order | permuted, jittered=reads_flow(inputs))


def reads_flow(inputs: Sequence[ModelInput]) -> bool:
    """Return whether a model with these inputs reads optical flow.

    Examples
    --------
    >>> reads_flow([ModelInput("image", frames=1, layout="NCHW"), ModelInput("flow", "flow", frames=1, layout="NCHW")])
    True
    """
    return any(item.source in FLOWS for item in inputs)


def to_shuffle(inputs: Sequence[ModelInput]) -> list[ModelInput]:
    """Return the inputs whose frames are shuffled to alter the motion.

    Examples
    --------
    >>> [item.name for item in to_shuffle([ModelInput("video"), ModelInput("flow", "flow")])]
    ['video']
    """
    if not reads_flow(inputs):
        return list(inputs)
    return [item for item in inputs if item.source not in FLOWS and item.frames > 1]
