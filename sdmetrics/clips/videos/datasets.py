"""Data sets without masks: clips from a video, a folder of videos, of frames or of styles, or a list of videos.

Opening lists files and decodes nothing: what is wrong with one video is reported when its clip is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, Window, spread_windows
from sdmetrics.clips.videos.annotations import Annotation, read_annotations
from sdmetrics.clips.videos.footage import Footage, frame_folder, unusable, video_file
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, as_id, files_below
from sdmetrics.clips.videos.manifest import read_manifest
from sdmetrics.errors import InputError

LIST_SUFFIXES = (".csv", ".json")
STYLE_FOLDER = re.compile("style", re.IGNORECASE)
UNSTYLED = "unstyled"
"""Beside the folders of styles: the videos as they were filmed."""


def open_video(path: Path, request: ClipRequest, shape: ClipShape) -> list[Clip]:
    """Return the clips of one video."""
    return _cut(video_file(path, shape.size), as_id(Path(path.name)), spread_windows(shape, request.clips_per_video))


def open_list(path: Path, request: ClipRequest, shape: ClipShape) -> list[Clip]:
    """Return the clips that published annotations or a CSV manifest list.

    Raises
    ------
    InputError
        If the file is wrong, or folder of videos is missing, or there is one beside a manifest.
    """
    windows = spread_windows(shape, request.clips_per_video)
    annotations = read_annotations(path)
    if annotations is not None:
        root = path.parent if request.videos is None else Path(request.videos)
        return _annotated(annotations, root, windows, shape.size)
    if request.videos is not None:
        raise InputError(f"videos is {request.videos}, but {path} is a manifest; its paths are relative to itself")
    return _manifest(path, windows, shape.size)


def open_folder(root: Path, request: ClipRequest, shape: ClipShape) -> list[Clip]:
    """Return the clips of a folder of videos or frame folders, or of a folder of those per style.

    Raises
    ------
    InputError
        If there is neither a video nor an image.
    """
    windows, size = spread_windows(shape, request.clips_per_video), shape.size
    videos = _videos(root, size)
    if not videos:
        raise InputError(
            f"{root} holds no video ({' '.join(VIDEO_SUFFIXES)}) and no folder of frames "
            f"({' '.join(IMAGE_SUFFIXES)}); use another folder"
        )
    tops = {path.parts[0] for path in videos}
    in_styles = len(tops - {UNSTYLED}) > 1 and all(STYLE_FOLDER.match(top) for top in tops - {UNSTYLED})
    names = {path: Path(*path.parts[1:]) if in_styles else path for path in videos}
    if request.flow is not None:
        flow = Path(request.flow)
        videos = {path: video.with_flow(flow, names[path], size) for path, video in videos.items()}
    if not in_styles:
        return [clip for path, video in videos.items() for clip in _cut(video, as_id(path), windows)]
    by_style: dict[str, dict[str, Footage]] = {}
    for path, video in videos.items():
        by_style.setdefault(path.parts[0], {})[as_id(names[path])] = video
    return _styled(root, by_style, windows)


def _cut(video: Footage, name: str, windows: Sequence[Window], label: str | None = None) -> list[Clip]:
    """Return a clip per window of one video."""
    clips = []
    for window in windows:
        segment = ""
        if window.start is not None or window.end is not None:
            segment = f"@{window.start or 0:g}-{'' if window.end is None else f'{window.end:g}'}"
        clip_id = name + segment + _number(window)
        load, flow = video.loader(window), partial(video.flow, window)
        clips.append(Clip(clip_id, load, video=name, label=label, stamp=video.stamp(window), load_flow=flow))
    return clips


def _number(window: Window) -> str:
    """Return what tells the clips of one video from each other."""
    return f"#{window.part}" if window.parts > 1 else ""


def _videos(root: Path, size: tuple[int, int]) -> dict[Path, Footage]:
    """Return the videos below a folder or, where there are none, its frame folders, by relative path."""
    files = list(files_below(root))
    videos = sorted(file for file in files if file.suffix.lower() in VIDEO_SUFFIXES)
    if videos:
        return {video.relative_to(root): video_file(video, size) for video in videos}
    images: dict[Path, list[Path]] = {}
    for file in files:
        if file.suffix.lower() in IMAGE_SUFFIXES:
            images.setdefault(file.parent, []).append(file)
    # Frames directly in the given folder are a video named after the folder.
    return {
        folder.relative_to(root) if folder != root else Path(root.resolve().name): frame_folder(images[folder], size)
        for folder in sorted(images)
    }


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
                name + _number(window),
                first.loader(window),
                video=name,
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


def _manifest(path: Path, windows: Sequence[Window], size: tuple[int, int]) -> list[Clip]:
    """Return the clips that a CSV manifest lists."""
    clips: list[Clip] = []
    listed: dict[str, str] = {}
    for row in read_manifest(path):
        place = path.parent / row.path
        segments = [replace(window, start=row.start, end=row.end) for window in windows]
        if place.is_dir():
            images = [file for file in files_below(place) if file.suffix.lower() in IMAGE_SUFFIXES]
            if not images or row.start is not None or row.end is not None:
                raise InputError(
                    f"{row.where} names the folder {row.path}; allowed: a video, or a folder of frames "
                    f"({' '.join(IMAGE_SUFFIXES)}) without start and end"
                )
            video = frame_folder(images, size)
        else:
            video = video_file(place, size)
        clips += _listed_once(_cut(video, as_id(Path(row.path)), segments, row.label), row.where, listed)
    return clips


def _annotated(
    annotations: Sequence[Annotation], root: Path, windows: Sequence[Window], size: tuple[int, int]
) -> list[Clip]:
    """Return the clips of annotated videos; a video that is not below the folder raises an error when it is read."""
    if not root.is_dir():
        raise InputError(f"videos is {root}, which is not a folder; use the folder of the annotated videos")
    files: dict[str, list[Path]] = {}
    for file in files_below(root):
        if file.suffix.lower() in VIDEO_SUFFIXES:
            files.setdefault(file.stem, []).append(file)
    clips: list[Clip] = []
    listed: dict[str, str] = {}
    for annotation in annotations:
        source = next((source for source in annotation.sources if source.stem in files), None)
        candidates = sorted(files[source.stem]) if source else []
        source = source or annotation.sources[0]
        name = candidates[0].relative_to(root) if candidates else Path(source.name)
        if not candidates:
            looked_for = " or ".join(source.name for source in annotation.sources)
            video = unusable(f"{looked_for} is not below {root}; add the video or use another folder of videos")
        elif len(candidates) > 1:
            video = unusable(
                f"{source.name} could be {candidates[0]} or {candidates[1]}; keep one of them below {root}"
            )
        else:
            video = video_file(candidates[0], size)
        segments = [replace(window, start=source.start, end=source.end) for window in windows]
        clips += _listed_once(_cut(video, as_id(name), segments, annotation.label), annotation.where, listed)
    return clips


def _listed_once(clips: list[Clip], where: str, listed: dict[str, str]) -> list[Clip]:
    """Return the clips of one entry of a list; raise an `InputError` if an earlier entry has the same."""
    if (first := listed.setdefault(clips[0].id, where)) != where:
        raise InputError(f"{where} lists {clips[0].id} again, after {first.rstrip(',')}; remove one")
    return clips
