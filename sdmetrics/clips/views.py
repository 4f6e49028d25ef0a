"""Views and pairs: what a clip is turned into so that two views share one factor only (paper, Sec. 3.1).

This module describes; `sdmetrics.clips.render` draws. A clip gives three views and two pairs:

====  =======  =================  ======================================
view  style    motion             pairs
====  =======  =================  ======================================
0     a        as it is           dynamic with 1, static with 2
1     b        as it is           same motion as 0, another style
2     a        other motion       same style as 0, another motion
====  =======  =================  ======================================

Other motion: each multi-frame input is shuffled independently. For a model that reads optical flow, the flow is
jittered (and its inputs of a single frame do not change).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.sampling import frame_order
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import ModelInput, reads_flow, to_shuffle

PAIRS: Mapping[str, tuple[int, int]] = {"dynamic": (0, 1), "static": (0, 2)}
"""For each factor the two views, by index, that share it."""

VIEWS = ("first", "other style", "other motion")
"""The names of the views."""

VIEWS_PER_CLIP = len(VIEWS)


@dataclass(frozen=True)
class View:
    """What is fed to the model once: a clip in one style and, per model input, one order of its frames.

    `jittered` tells whether the optical flow differs from the clip's.
    """

    style: str
    orders: Mapping[str, NDArray[np.int64]]
    jittered: bool = False


def clip_generator(seed: int, clip_id: str) -> np.random.Generator:
    """Return the random generator of one clip, which depends only on the seed and the clip's id."""
    digest = hashlib.sha256(clip_id.encode(errors="surrogatepass")).digest()  # a name that is no UTF-8
    return np.random.default_rng([seed, *np.frombuffer(digest, np.uint32)])


def content_of(frames: NDArray[Any]) -> NDArray[np.int64]:
    """Number the frames `(T, …)` by what they show, int64 `(T,)`.

    Examples
    --------
    >>> content_of(np.array([[7], [3], [7]])).tolist()
    [0, 1, 0]
    """
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(frame.tobytes(), len(seen)) for frame in frames])


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
    """Return the three views of a clip; `PAIRS` lists which two share which factor.

    `content` is as in `shuffled`. In the last view each model input is shuffled independently. For a model that reads
    flow, the flow inputs are jittered instead, and single-frame inputs stay in order.

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
