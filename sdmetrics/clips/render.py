"""Renders the views of a clip into what a runner is fed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Frames, checked
from sdmetrics.clips.flow.colour import flow_to_rgb, rgb_to_flow
from sdmetrics.clips.flow.jitter import draw_jitter, jittered, jittered_vectors
from sdmetrics.clips.sampling import ClipShape, frame_order
from sdmetrics.clips.styles.built_in import STYLES, Style
from sdmetrics.clips.views import View, clip_generator, content_of, draw_styles, draw_views
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import FLOWS, ModelInput, to_shuffle

Feeds = dict[str, NDArray[Any]]

Shown = Mapping[str, NDArray[Any]]
"""What a view draws from, by source: `"rgb"`, frames; `"flow"` and `"flow_vectors"`, see `probes.inputs.SOURCES`."""


def render(
    clip: Clip, seed: int, inputs: Sequence[ModelInput], styles: Mapping[str, Style] | None = None
) -> tuple[tuple[View, ...], list[Shown]]:
    """Return the three views of a clip and what each draws from: frames, uint8 `(T, H, W, 3)`, and flow if it is read.

    A view's `orders` index its frames. The result depends only on the arguments. A clip that comes in styles keeps
    them; others are rendered in `styles`, by default the built-in ones. Flow is that of the clip's unstyled frames.

    Raises
    ------
    InputError
        If the clip cannot be decoded, its frames cannot be shuffled, it has no flow where a model reads flow, a style
        does not return frames, or the two views of a pair would be the same.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> views, shown = render(world_clips(1)[0], seed=0, inputs=[ModelInput("video", size=(40, 40))])
    >>> len(views), shown[0]["rgb"].shape
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
        first, second = (restyled(frames, style, styles[style]) for style in (a, b))
    for style, styled in ((a, first), (b, second)):
        _check_size(styled, f" in style {style!r}", clip, inputs)
    if np.array_equal(first, second):
        raise InputError(
            f"clip {clip.id!r} looks the same in the styles {a!r} and {b!r}; a dynamic pair needs two different views"
        )
    views = draw_views(a, b, inputs, content_of(first), rng)
    flow = _flow(clip, inputs)
    other = _jittered(flow, rng)
    if flow and not to_shuffle(inputs) and all(np.array_equal(flow[source], other[source]) for source in flow):
        raise InputError(
            f"clip {clip.id!r} has optical flow without motion, which jitter does not change; a static pair needs two "
            "different views"
        )
    return views, [
        _only_read({"rgb": styled, **moves}, inputs)
        for styled, moves in ((first, flow), (second, flow), (first, other))
    ]


def plain(clip: Clip, inputs: Sequence[ModelInput]) -> tuple[View, Shown]:
    """Return the view of a clip as it is, in order and in the style `""`, and what it draws from, as `render` does.

    A clip that comes only in styles is shown as its `load` returns it, in one of them.

    Raises
    ------
    InputError
        If the clip cannot be decoded, or does not have the frames, size and flow that the inputs read.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> view, shown = plain(world_clips(1)[0], [ModelInput("video", size=(40, 40))])
    >>> view.orders["video"].tolist(), shown["rgb"].shape
    ([0, 1, 2, 3, 4, 5, 6, 7], (8, 40, 40, 3))
    """
    frames = clip.frames
    _check_size(frames, "", clip, inputs)
    view = View("", {i.name: frame_order(len(frames), i.frames) for i in inputs})
    return view, _only_read({"rgb": frames, **_flow(clip, inputs)}, inputs)


def check_styles(styles: Mapping[str, Style], clips: Iterable[Clip], inputs: Sequence[ModelInput]) -> None:
    """Validate early the styles that were requested for the clips.

    Raises
    ------
    InputError
        If there are fewer than two, a clip comes in styles of its own, or a style does not return frames like its
        input: each is tried on noise of the size that the inputs read.

    Examples
    --------
    >>> from sdmetrics.clips.styles.built_in import ink
    >>> check_styles({"ink": ink}, [], [ModelInput("video")])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: styles are ['ink']; a dynamic pair needs at least two different styles
    """
    rng = np.random.default_rng(0)
    draw_styles(list(styles), rng)
    for clip in clips:
        if clip.styled:
            raise InputError(
                f"clip {clip.id!r} comes in styles of its own ({', '.join(sorted(clip.styled))}), and others were "
                "requested; leave them out, or use the unstyled videos"
            )
    shape = ClipShape.read_by(inputs)
    noise = rng.integers(0, 256, (shape.frames, *shape.size, 3), np.uint8)
    for name, style in styles.items():
        restyled(noise, name, style)


def feeds(views: Sequence[View], shown: Sequence[Shown]) -> Feeds:
    """Return what a runner is fed for `N` views: each source, such as `rgb`, uint8 `(N, T, H, W, 3)`, and the orders.

    Every input's `<input>/order` is int64 `(N, T')`.
    """
    sources: Feeds = {source: np.stack([one[source] for one in shown]) for source in shown[0]}
    orders = {f"{name}/order": np.stack([view.orders[name] for view in views]) for name in views[0].orders}
    return {**sources, **orders}


def _only_read(shown: Shown, inputs: Sequence[ModelInput]) -> Shown:
    """Return the sources that an input reads."""
    return {item.source: shown[item.source] for item in inputs}


def _flow(clip: Clip, inputs: Sequence[ModelInput]) -> Shown:
    """Return the clip's optical flow in the form that the inputs read it, by source."""
    read = {item.source for item in inputs if item.source in FLOWS}
    if not read:
        return {}
    flow = clip.flow
    _check_size(flow, " of flow", clip, inputs)
    coded = flow.dtype == np.uint8
    forms: dict[str, Callable[[], NDArray[Any]]] = {
        "flow": lambda: flow if coded else flow_to_rgb(flow),
        "flow_vectors": lambda: rgb_to_flow(flow, scale=1) if coded else flow,
    }
    return {source: forms[source]() for source in sorted(read)}


def _jittered(flow: Shown, rng: np.random.Generator) -> Shown:
    """Return another motion than the clip's: the same jitter in every form of the flow."""
    if not flow:
        return {}
    jitter = draw_jitter(len(next(iter(flow.values()))), rng)
    changes: Mapping[str, Callable[[Any, Any], NDArray[Any]]] = {"flow": jittered, "flow_vectors": jittered_vectors}
    return {source: changes[source](values, jitter) for source, values in flow.items()}


def _check_size(frames: NDArray[Any], style: str, clip: Clip, inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` unless a clip has the frames and the size that the inputs read."""
    shape = ClipShape.read_by(inputs)
    expected = shape.frames, *shape.size
    if frames.shape[:3] != expected:
        raise InputError(
            f"clip {clip.id!r} has {_size(frames.shape)}{style}, and the model reads {_size(expected)}; open the clips "
            "with the model's frames and size"
        )


def restyled(frames: Frames, name: str, style: Style) -> Frames:
    """Apply a style to a copy, since a user's function may work in place, and check that it returns frames."""
    styled = style(frames.copy())
    if styled.dtype != frames.dtype or styled.shape != frames.shape:
        raise InputError(
            f"style {name!r} returns {styled.dtype} of shape {styled.shape}; expected frames like its input, "
            f"{frames.dtype} of shape {frames.shape}"
        )
    return styled


def _size(shape: Sequence[int]) -> str:
    """Return a clip's shape in words."""
    return f"{shape[0]} frames of {shape[1]}×{shape[2]}"
