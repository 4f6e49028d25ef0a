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

    A view's `orders` index its frames. The result depends on the arguments alone. `styles` are the clip's own where it
    comes in styles, else by default the built-in ones.

    Raises
    ------
    InputError
        If the clip cannot be decoded, its frames cannot be shuffled, or `check_styles` refuses the styles.

    Examples
    --------
    >>> from sdmetrics.clips.world import world_clips
    >>> views, frames = render(world_clips(1)[0], seed=0, inputs=[ModelInput("video", size=(40, 40))])
    >>> len(views), frames[0].shape
    (3, (8, 40, 40, 3))
    """
    check_styles(styles, [clip])
    rng = clip_generator(seed, clip.id)
    if clip.styled:
        a, b = draw_styles(sorted(clip.styled), rng)
        first, second = (checked(clip.styled[style](), clip.id) for style in (a, b))
    else:
        styles = STYLES if styles is None else styles
        a, b = draw_styles(sorted(styles), rng)
        frames = clip.frames
        first, second = (checked(styles[style](frames), f"{clip.id} in style {style}") for style in (a, b))
    wanted = (max(i.frames for i in inputs), *inputs[0].size)
    for style, styled in ((a, first), (b, second)):
        if styled.shape[:3] != wanted:
            raise InputError(
                f"clip {clip.id!r} has {_size(styled.shape)} in style {style!r}, and the model reads {_size(wanted)}; "
                "open the clips with the model's frames and size"
            )
    return draw_views(a, b, inputs, _content(first), rng), [first, second, first]


def check_styles(styles: Mapping[str, Style] | None, clips: Iterable[Clip]) -> None:
    """Refuse styles that were asked for and cannot be applied to the clips; `None` asks for none.

    Raises
    ------
    InputError
        If there are fewer than two, or a clip comes in styles of its own.

    Examples
    --------
    >>> check_styles({"ink": STYLES["ink"]}, [])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: styles are ['ink']; a dynamic pair needs at least two different styles
    """
    if styles is None:
        return
    if len(styles) < 2:
        raise InputError(f"styles are {list(styles)}; a dynamic pair needs at least two different styles")
    for clip in clips:
        if clip.styled:
            raise InputError(
                f"clip {clip.id!r} comes in styles of its own ({', '.join(sorted(clip.styled))}), which no other can "
                "stand in for; leave the styles out, or give the unstyled videos"
            )


def feeds(views: Sequence[View], frames: Sequence[Frames]) -> Feeds:
    """Return what a runner is fed for `N` views: `rgb` uint8 `(N, T, H, W, 3)` and, per input, `<input>/order`."""
    orders: Mapping[str, Any] = {
        f"{name}/order": np.stack([view.orders[name] for view in views]) for name in views[0].orders
    }
    return {"rgb": np.stack(frames), **orders}


def _content(frames: Frames) -> NDArray[np.int64]:
    """Number the frames by what they show."""
    seen: dict[bytes, int] = {}
    return np.array([seen.setdefault(frame.tobytes(), len(seen)) for frame in frames])


def _size(shape: Sequence[int]) -> str:
    """Say a clip's shape in words."""
    return f"{shape[0]} frames of {shape[1]}×{shape[2]}"
