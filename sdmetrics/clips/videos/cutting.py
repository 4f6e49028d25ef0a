"""Cutting: the clips of one video, one per window."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.videos.footage import Footage


def cut(video: Footage, name: str, windows: Sequence[Window], label: str | None = None) -> list[Clip]:
    """Return a clip per window of one video."""
    clips = []
    for window in (shared.own() for shared in windows):
        segment = ""
        if window.start is not None or window.end is not None:
            segment = f"@{_exact(window.start or 0)}-{'' if window.end is None else _exact(window.end)}"
        clip_id = name + segment + number(window)
        clips.append(
            Clip(
                clip_id,
                video.loader(window),
                video=name,
                label=label,
                stamp=video.stamp(window),
                load_flow=partial(video.flow, window),
                files=video.files,
                is_looped=window.is_looped,
            )
        )
    return clips


def folder_label(video: str) -> str | None:
    """Return the label of a video in a folder per class: its folders, of which one names the class; None without any.

    Examples
    --------
    >>> folder_label("val/riding a bike/0wR5jVB-WPk.mp4")
    'val/riding a bike'
    """
    return video.rpartition("/")[0] or None


def number(window: Window) -> str:
    """Return what tells the clips of one video from each other."""
    return f"#{window.part}" if window.parts > 1 else ""


def _exact(seconds: float) -> str:
    """Return a time in as many digits as it needs: two windows of a long video must not have the same id."""
    return repr(float(seconds)).removesuffix(".0")
