"""Clips that come in styles: the same videos rendered once per style, each in a folder of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.videos.cutting import folder_label, number
from sdmetrics.clips.videos.footage import Footage, unusable
from sdmetrics.errors import InputError

UNSTYLED = "unstyled"
"""Beside the folders of styles: the videos as they were filmed."""


def styled_clips(root: Path, by_style: dict[str, dict[str, Footage]], windows: Sequence[Window]) -> list[Clip]:
    """Return clips whose styled renderings are given; their flow is that of the unstyled videos, or given too."""
    clips = []
    for name in sorted(set().union(*by_style.values())):
        videos = _renderings(root, by_style, name)
        stamped = [*videos.values()]
        same = _SameLength(name, {**videos})
        unstyled = videos.pop(UNSTYLED, None)
        first = unstyled or next(iter(videos.values()))
        has_flow = unstyled or first.given_flow
        clips += [
            Clip(
                name + number(window),
                _Rendering(same, first, window),
                video=name,
                label=folder_label(name),
                styled={style: _Rendering(same, video, window) for style, video in videos.items()},
                stamp="; ".join(video.stamp(window) for video in stamped),
                load_flow=partial(first.flow, window) if has_flow else None,
            )
            for window in (shared.own() for shared in windows)
        ]
    return clips


def _renderings(root: Path, by_style: dict[str, dict[str, Footage]], name: str) -> dict[str, Footage]:
    """Return one video in every style; where the styles disagree, videos that raise an error when they are read."""
    found = {style: videos[name] for style, videos in sorted(by_style.items()) if name in videos}
    lengths = {style: len(video.images) for style, video in found.items()}
    if missing := sorted(by_style.keys() - found.keys()):
        problem = f"{printable(root / missing[0] / name)} is missing; every style needs the same videos"
    elif problems := [video.problem for video in found.values() if video.problem]:
        problem = problems[0]
    elif len(set(lengths.values())) > 1:
        problem = _unequal(name, lengths)
    else:
        return found

    return {style: unusable(problem) for style in sorted(by_style)}


@dataclass(frozen=True)
class _SameLength:
    """Checks when a clip is loaded that a video has as many frames in every style: others would pair other moments."""

    name: str
    videos: Mapping[str, Footage]

    @cached_property
    def problem(self) -> str:
        """What is wrong with the lengths, if anything. Frames are counted, since what headers say may be wrong."""
        lengths = {style: video.length() for style, video in self.videos.items()}
        return _unequal(self.name, lengths) if len(set(lengths.values())) > 1 else ""


@dataclass(frozen=True)
class _Rendering:
    """What one clip shows in one style: the loader of its frames."""

    same: _SameLength
    video: Footage
    window: Window

    def __call__(self) -> Frames:
        if self.same.problem:
            raise InputError(self.same.problem)
        return self.video.read(self.window)

    @property
    def looped(self) -> bool:
        return self.window.is_looped()

    @property
    def files(self) -> Sequence[Path]:
        return [file for video in self.same.videos.values() for file in video.files]


def _unequal(name: str, lengths: Mapping[str, int]) -> str:
    """Return what is wrong where styles have different numbers of frames."""
    counts = printable(", ".join(f"{style} {length}" for style, length in lengths.items()))
    return f"{printable(name)} differs in its number of frames ({counts}); render all styles from the same frames"
