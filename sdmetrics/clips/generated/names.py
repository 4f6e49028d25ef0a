"""Generated clips by name: `world:N` and `camouflage:N`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.generated.camouflage import camouflage_clips
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.errors import InputError

WORLDS: Mapping[str, Callable[..., list[Clip]]] = {"world": world_clips, "camouflage": camouflage_clips}
"""For every name of a world the function that returns its clips, given their number, `frames`, `size` and `seed`."""
LARGEST = 10_000
"""Clips of a world by name: all of them are planned when they are opened, which takes up to a minute."""

NAMED = re.compile(r"(\w+):([1-9][0-9]*)(?::([0-9]{1,18}))?")


def is_generated(path: str | Path) -> bool:
    """Return whether a path is the name of generated clips.

    Examples
    --------
    >>> is_generated("world:320"), is_generated("camouflage:50"), is_generated("videos/")
    (True, True, False)
    """
    return str(path).partition(":")[0] in WORLDS and ":" in str(path)


def open_generated(
    text: str, frames: int, size: tuple[int, int], clips_per_video: int, videos: str | Path | None
) -> list[Clip]:
    """Return generated clips. Each clip is a separate video, and its frames span the video whatever the stride.

    Raises
    ------
    InputError
        If the name is not valid, or an argument does not apply to generated clips.

    Examples
    --------
    >>> len(open_generated("world:3", 8, (40, 40), 1, None))
    3
    """
    world = text.partition(":")[0]
    numbers = NAMED.fullmatch(text)
    if not numbers:
        raise InputError(
            f"{printable(text)} is not a generated world; use {world}:N or {world}:N:SEED, e.g. {world}:320 or "
            f"{world}:320:7"
        )
    if len(numbers[2]) > len(str(LARGEST)) or int(numbers[2]) > LARGEST:
        raise InputError(f"{printable(text)} is too large; allowed: 1 to {LARGEST} clips. Use fewer, or another seed")
    if clips_per_video > 1 or videos is not None:
        raise InputError(
            f"{text} is generated, with one clip per video; leave out clips_per_video and videos, and use a larger N"
        )
    if size[0] != size[1]:
        raise InputError(
            f"{text} has square frames, but the model reads {size[0]} × {size[1]} pixels; use videos or another model"
        )
    _, count, seed = numbers.groups()
    return WORLDS[world](int(count), frames=frames, size=size[0], seed=int(seed or 0))
