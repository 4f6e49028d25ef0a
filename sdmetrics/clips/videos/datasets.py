"""Data sets without masks: clips from a video, or a folder of videos, of frames or of styles.

Opening lists files and decodes nothing: what is wrong with one video is reported when its clip is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.folder import flow_root
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, Window, spread_windows
from sdmetrics.clips.videos.cutting import cut, folder_label, number
from sdmetrics.clips.videos.footage import Footage, unusable, video_file
from sdmetrics.clips.videos.listing import as_id
from sdmetrics.clips.videos.survey import videos_below

STYLE_FOLDER = re.compile("style", re.IGNORECASE)
UNSTYLED = "unstyled"
"""Beside the folders of styles: the videos as they were filmed."""


def open_video(path: Path, request: ClipRequest, shape: ClipShape) -> list[Clip]:
    """Return the clips of one video."""
    return cut(video_file(path, shape.size), as_id(Path(path.name)), spread_windows(shape, request.clips_per_video))


def open_folder(root: Path, request: ClipRequest, shape: ClipShape, *, reads_flow: bool = False) -> list[Clip]:
    """Return the clips of a folder of videos or frame folders, or of a folder of those per style.

    Raises
    ------
    InputError
        If there is neither a video nor an image.
    """
    windows, size = spread_windows(shape, request.clips_per_video), shape.size
    flow = None if request.flow is None else Path(request.flow)
    inside = _inside(root, flow)
    videos = videos_below(root, size, reads_flow=reads_flow and flow is None, without=inside)
    tops = {path.parts[0] for path in videos}
    in_styles = len(tops - {UNSTYLED}) > 1 and all(STYLE_FOLDER.match(top) for top in tops - {UNSTYLED})
    names = {path: Path(*path.parts[1:]) if in_styles else path for path in videos}
    if flow is not None:
        flow = flow_root(flow, {video.images[0].parent for video in videos.values() if video.images})
        videos = {path: video.with_flow(flow, names[path], size) for path, video in videos.items()}
    if not in_styles:
        return [
            clip
            for path, video in videos.items()
            for clip in cut(video, as_id(path), windows, folder_label(as_id(path)))
        ]
    by_style: dict[str, dict[str, Footage]] = {}
    for path, video in videos.items():
        by_style.setdefault(path.parts[0], {})[as_id(names[path])] = video
    return _styled(root, by_style, windows)


def _inside(root: Path, flow: Path | None) -> Path | None:
    """Return the folder of given flow relative to that of the videos, if it is inside."""
    if flow is None:
        return None
    real, outer = flow.resolve(), root.resolve()
    return real.relative_to(outer) if real != outer and real.is_relative_to(outer) else None


def _styled(root: Path, by_style: dict[str, dict[str, Footage]], windows: Sequence[Window]) -> list[Clip]:
    """Return clips whose styled renderings are given; their flow is that of the unstyled videos, or given too."""
    clips = []
    for name in sorted(set().union(*by_style.values())):
        videos = _renderings(root, by_style, name)
        stamped = [*videos.values()]
        unstyled = videos.pop(UNSTYLED, None)
        first = unstyled or next(iter(videos.values()))
        has_flow = unstyled or first.given_flow
        clips += [
            Clip(
                name + number(window),
                first.loader(window),
                video=name,
                label=folder_label(name),
                styled={style: video.loader(window) for style, video in videos.items()},
                stamp="; ".join(video.stamp(window) for video in stamped),
                load_flow=partial(first.flow, window) if has_flow else None,
            )
            for window in windows
        ]
    return clips


def _renderings(root: Path, by_style: dict[str, dict[str, Footage]], name: str) -> dict[str, Footage]:
    """Return one video in every style; where the styles disagree, videos that raise an error when they are read."""
    found = {style: videos[name] for style, videos in sorted(by_style.items()) if name in videos}
    lengths = {style: len(video.images) for style, video in found.items()}
    if missing := sorted(by_style.keys() - found.keys()):
        problem = f"{root / missing[0] / name} is missing; every style needs the same videos"
    elif len(set(lengths.values())) > 1:
        counts = ", ".join(f"{style} {length}" for style, length in lengths.items())
        problem = f"{name} differs in its number of frames ({counts}); render all styles from the same frames"
    else:
        return found

    return {style: unusable(problem) for style in sorted(by_style)}
