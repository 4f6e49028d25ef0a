"""Clips and styles that remember what they gave, for clips that are measured again and again."""

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
"""A clip's own frames and those in its two styles."""


def keep(
    clips: Sequence[Clip], styles: Mapping[str, Style] | None, inputs: Sequence[ModelInput], limit: int
) -> tuple[list[Clip], Mapping[str, Style] | None]:
    """Return clips and styles for `analyze` that decode and style every clip once, if that fits into `limit` bytes.

    The results, and the settings that they carry, are those of the clips and styles given.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> clips, _ = keep(world_clips(2), None, [ModelInput("video", size=(40, 40))], limit=10**6)
    >>> clips[0].frames is clips[0].frames
    True
    """
    frames = max(item.frames for item in inputs)
    if len(clips) * COPIES * frames * int(np.prod(inputs[0].size)) * 3 > limit:
        return list(clips), styles
    kept = [
        replace(
            clip,
            load=functools.cache(clip.load),
            styled={name: functools.cache(load) for name, load in clip.styled.items()},
            load_flow=clip.load_flow and functools.cache(clip.load_flow),
        )
        for clip in clips
    ]
    if any(clip.styled for clip in clips):
        return kept, styles
    return kept, {name: _KeptStyle(style) for name, style in (STYLES if styles is None else styles).items()}


class _KeptStyle:
    """A style that styles the same frames once."""

    def __init__(self, style: Style) -> None:
        self._style = style
        self._known: dict[bytes, Frames] = {}
        self.identity = style_identity(style)

    def __call__(self, frames: Frames) -> Frames:
        key = hashlib.blake2b(np.ascontiguousarray(frames).data).digest()
        if key not in self._known:
            self._known[key] = self._style(frames)
        return self._known[key]
