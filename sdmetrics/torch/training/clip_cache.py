"""Clips and styles that cache their frames, for clips that are measured repeatedly."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.styles.built_in import STYLES, Style, style_identity
from sdmetrics.probes.inputs import ModelInput

COPIES = 3
"""A clip's own frames, and its frames in two styles."""


def cached_clips(
    clips: Sequence[Clip], styles: Mapping[str, Style] | None, inputs: Sequence[ModelInput], limit: int
) -> tuple[list[Clip], Mapping[str, Style] | None]:
    """Return clips and styles that decode and style every clip only once.

    If the frames do not fit into `limit` bytes, the clips and styles are returned unchanged. Results and their
    settings are the same either way.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> clips, _ = cached_clips(world_clips(2), None, [ModelInput("video", size=(40, 40))], limit=10**6)
    >>> clips[0].frames is clips[0].frames
    True
    """
    frames = max(item.frames for item in inputs)
    if len(clips) * COPIES * frames * int(np.prod(inputs[0].size)) * 3 > limit:
        return list(clips), styles
    cached = [
        replace(
            clip,
            load=functools.cache(clip.load),
            styled={name: functools.cache(load) for name, load in clip.styled.items()},
            load_flow=clip.load_flow and functools.cache(clip.load_flow),
        )
        for clip in clips
    ]
    if any(clip.styled for clip in clips):
        return cached, styles
    return cached, {name: _CachedStyle(style) for name, style in (STYLES if styles is None else styles).items()}


class _CachedStyle:
    """A style that caches its result by the content of the frames."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._cache: dict[bytes, Frames] = {}
        self.identity = style_identity(style)

    def __call__(self, frames: Frames) -> Frames:
        key = hashlib.blake2b(np.ascontiguousarray(frames).data).digest()
        if key not in self._cache:
            self._cache[key] = self._style(frames)
        return self._cache[key]
