"""Clips of the videos that a file lists: a manifest, or published annotations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, Window, spread_windows
from sdmetrics.clips.videos.annotations import Annotation, read_annotations
from sdmetrics.clips.videos.cutting import cut
from sdmetrics.clips.videos.footage import frame_folder, unusable, video_file
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, as_id, files_below
from sdmetrics.clips.videos.manifest import read_manifest
from sdmetrics.errors import InputError

LIST_SUFFIXES = (".csv", ".json")


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
        clips += _listed_once(cut(video, as_id(Path(row.path)), segments, row.label), row.where, listed)
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
        clips += _listed_once(cut(video, as_id(name), segments, annotation.label), annotation.where, listed)
    return clips


def _listed_once(clips: list[Clip], where: str, listed: dict[str, str]) -> list[Clip]:
    """Return the clips of one entry of a list; raise an `InputError` if an earlier entry has the same."""
    if (first := listed.setdefault(clips[0].id, where)) != where:
        raise InputError(f"{where} lists {clips[0].id} again, after {first.rstrip(',')}; remove one")
    return clips
