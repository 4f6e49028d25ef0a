"""Renders the views of a clip into what a runner is fed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Frames, checked
from sdmetrics.clips.styles import STYLES, Style
from sdmetrics.errors import InputError
from sdmetrics.views import ModelInput, View, clip_generator, draw_styles, draw_views

Feeds = dict[str, NDArray[Any]]


def render(
    clip: Clip, seed: int, inputs: Sequence[ModelInput], styles: Mapping[str, Style] | None = None
) -> tuple[tuple[View, ...], list[Frames]]:
    """Return the three views of a clip and the frames, uint8 `(T, H, W, 3)`, that each draws from.

    A view's `orders` index its frames. The result depends on the arguments alone. A clip that comes in styles keeps
    them; any other is given `styles`, by default the built-in ones.

    Raises
    ------
    InputError
        If the clip cannot be decoded or its frames cannot be shuffled, or a style does not give frames.

    Examples
    --------
    >>> from sdmetrics.clips.world import world_clips
    >>> views, frames = render(world_clips(1)[0], seed=0, inputs=[ModelInput("video", size=(40, 40))])
    >>> len(views), frames[0].shape
    (3, (8, 40, 40, 3))
    """
    rng = clip_generator(seed, clip.id)
    if clip.styled:
        a, b = draw_styles(sorted(clip.styled), rng)
        first, second = (checked(clip.styled[style](), clip.id) for style in (a, b))
    else:
        styles = STYLES if styles is None else styles
        a, b = draw_styles(sorted(styles), rng)
        frames = clip.frames
        first, second = (_restyled(frames, style, styles[style]) for style in (a, b))
    wanted = _wanted(inputs)
    for style, styled in ((a, first), (b, second)):
        if styled.shape[:3] != wanted:
            raise InputError(
                f"clip {clip.id!r} has {_size(styled.shape)} in style {style!r}, and the model reads {_size(wanted)}; "
                "open the clips with the model's frames and size"
            )
    return draw_views(a, b, inputs, _content(first), rng), [first, second, first]


def check_styles(styles: Mapping[str, Style], clips: Iterable[Clip], inputs: Sequence[ModelInput]) -> None:
    """Refuse at once styles that were asked for and cannot be had of the clips.

    Raises
    ------
    InputError
        If there are fewer than two, a clip comes in styles of its own, or a style does not give frames as it was given:
        each is tried on noise of the size that the inputs want.

    Examples
    --------
    >>> from sdmetrics.clips.styles import ink
    >>> check_styles({"ink": ink}, [], [ModelInput("video")])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: styles are ['ink']; a dynamic pair needs at least two different styles
    """
    rng = np.random.default_rng(0)
    draw_styles(list(styles), rng)
    for clip in clips:
        if clip.styled:
            raise InputError(
                f"clip {clip.id!r} comes in styles of its own ({', '.join(sorted(clip.styled))}), and others are asked "
                "for; leave them out, or give the unstyled videos"
            )
    noise = rng.integers(0, 256, (*_wanted(inputs), 3), np.uint8)
    for name, style in styles.items():
        _restyled(noise, name, style)


def feeds(views: Sequence[View], frames: Sequence[Frames]) -> Feeds:
    """Return what a runner is fed for `N` views: `rgb` uint8 `(N, T, H, W, 3)` and, per input, `<input>/order`."""
    orders: Mapping[str, Any] = {
        f"{name}/order": np.stack([view.orders[name] for view in views]) for name in views[0].orders
    }
    return {"rgb": np.stack(frames), **orders}


def _wanted(inputs: Sequence[ModelInput]) -> tuple[int, int, int]:
    """Return frames, height and width of the clips that the inputs read."""
    return max(i.frames for i in inputs), *inputs[0].size


def _restyled(frames: Frames, name: str, style: Style) -> Frames:
    """Apply a style to a copy, for a user's function may work in place, and insist on frames."""
    styled = style(frames.copy())
    if styled.dtype != frames.dtype or styled.shape != frames.shape:
        raise InputError(
            f"style {name!r} gives {styled.dtype} of shape {styled.shape}; needed: frames as it was given, "
            f"{frames.dtype} of shape {frames.shape}"
        )
    return styled


def _content(frames: Frames) -> NDArray[np.int64]:
    """Number the frames by what they show."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(frame.tobytes(), len(seen)) for frame in frames])


def _size(shape: Sequence[int]) -> str:
    """Say a clip's shape in words."""
    return f"{shape[0]} frames of {shape[1]}×{shape[2]}"
