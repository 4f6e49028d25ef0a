"""Data sets without masks: clips from a video, or a folder of videos, of frames or of styles.

Opening lists files and decodes nothing: what is wrong with one video is reported when its clip is loaded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.folder import flow_root
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, spread_windows
from sdmetrics.clips.videos.cutting import cut, folder_label
from sdmetrics.clips.videos.footage import Footage, video_file
from sdmetrics.clips.videos.listing import as_id
from sdmetrics.clips.videos.styled import UNSTYLED, styled_clips
from sdmetrics.clips.videos.survey import some, videos_below
from sdmetrics.errors import InputError

STYLE_FOLDER = re.compile("style", re.IGNORECASE)


def open_video(path: Path, request: ClipRequest, shape: ClipShape) -> list[Clip]:
    """Return the clips of one video."""
    return cut(
        video_file(path.parent, path.name, shape.fit),
        as_id(Path(path.name)),
        spread_windows(shape, request.clips_per_video),
    )


def open_folder(root: Path, request: ClipRequest, shape: ClipShape, *, reads_flow: bool = False) -> list[Clip]:
    """Return the clips of a folder of videos or frame folders, or of a folder of those per style.

    Raises
    ------
    InputError
        If there is neither a video nor an image, or there are other folders beside those of styles, or the flow is
        not a folder or holds the frames.
    """
    windows, fit = spread_windows(shape, request.clips_per_video), shape.fit
    flow = None if request.flow is None else Path(request.flow)
    inside = _inside(root, flow)
    videos = videos_below(root, fit, reads_flow=reads_flow and flow is None, without=inside)
    in_styles = _in_styles(root, videos)
    names = {path: Path(*path.parts[1:]) if in_styles else path for path in videos}
    if flow is not None:
        flow = flow_root(flow, {video.images[0].parent for video in videos.values() if video.images})
        videos = {path: video.with_flow(flow, names[path]) for path, video in videos.items()}
    if not in_styles:
        return [
            clip
            for path, video in videos.items()
            for clip in cut(video, as_id(path), windows, folder_label(as_id(path)))
        ]
    by_style: dict[str, dict[str, Footage]] = {}
    for path, video in videos.items():
        by_style.setdefault(path.parts[0], {})[as_id(names[path])] = video
    return styled_clips(root, by_style, windows)


def _in_styles(root: Path, videos: Collection[Path]) -> bool:
    """Return whether every folder directly in another is a style of the same videos."""
    tops = {path.parts[0] for path in videos} - {UNSTYLED}
    styles = {top for top in tops if STYLE_FOLDER.match(top)}
    if len(styles) > 1 and (others := sorted(tops - styles)):
        names = Counter(path.parts[1:] for path in videos if path.parts[0] in styles)
        if max(names.values()) > 1:
            raise InputError(
                f"{printable(root)} holds folders of styles ({some([Path(top) for top in sorted(styles)])}) and others "
                f"({some([Path(top) for top in others])}); move the others elsewhere, or rename the first if they are "
                "not styles"
            )
    return len(styles) > 1 and styles == tops


def _inside(root: Path, flow: Path | None) -> list[Path]:
    """Return the folder of given flow relative to that of the videos, if it is inside: as a link and as itself."""
    if flow is None:
        return []
    places = ((flow.absolute(), root.absolute()), (flow.resolve(), root.resolve()))
    return [inner.relative_to(outer) for inner, outer in places if inner != outer and inner.is_relative_to(outer)]
