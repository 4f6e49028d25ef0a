"""Data sets: clips from a video, a folder of videos, of frames or of styles, a manifest, or published annotations.

Those of video segmentation, whose clips have masks, are in `segmentation`.

Opening lists files and decodes nothing: what is wrong with one video shows when its clip is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.cache import cached
from sdmetrics.clips.flow.estimate import estimator
from sdmetrics.clips.generated.names import is_generated, open_generated
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.segmentation.datasets import open_segmentation
from sdmetrics.clips.videos.annotations import Annotation, read_annotations
from sdmetrics.clips.videos.footage import Footage, frame_folder, unusable, video_file
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, as_id, files_below
from sdmetrics.clips.videos.manifest import read_manifest
from sdmetrics.errors import InputError

LIST_SUFFIXES = (".csv", ".json")
STYLE_FOLDER = re.compile("style", re.IGNORECASE)
UNSTYLED = "unstyled"
"""Beside the folders of styles: the videos as they were filmed."""


def open_clips(
    path: str | Path,
    *,
    frames: int,
    stride: int,
    size: tuple[int, int],
    clips_per_video: int = 1,
    videos: str | Path | None = None,
    split: str | Path | None = None,
    flow: str | Path | None = None,
    cache: str | Path | None = None,
) -> list[Clip]:
    """List the clips of a data set; nothing is decoded until a clip's frames are asked for.

    Parameters
    ----------
    path
        One of: a video; a folder with videos at any depth; a folder with folders of frames (images in natural
        order) at any depth; a folder with such folders per style, each named `style…` and holding the same
        videos (the layout of the paper's data sets), and maybe one named `unstyled`, from which optical flow is
        estimated and clips are shown where no style is wanted; a CSV manifest with the columns `path`, relative to the
        manifest, and optionally `label`, `start` and `end` (seconds); the published annotations of ActivityNet,
        Kinetics, Something-Something, SomethingElse or Diving48 (see `annotations.read_annotations`); DAVIS,
        YouTube-VOS, TAO-VOS, ImageNet VID, MoCA, YouTube-VIS or OVIS, whose clips have masks and optical flow (see
        `segmentation.open_segmentation`); or `"world:N"`, `"world:N:SEED"`: `N` generated clips of the known-answer
        world (see `world.world_clips`), `"camouflage:N"` of objects that only motion shows (`camouflage`).
    frames, stride, size
        Frames per clip, video frames that each stands for, and `(height, width)` in pixels.
    clips_per_video
        One clip is cut from the middle of its video; several are spread evenly over it (the same frames again
        where the video is no longer than one clip). 0, with masks: all that is annotated.
    videos
        The folder below which annotated videos are looked for by name. Default: that of the annotations.
    split
        With masks: as of `segmentation.open_segmentation`.
    flow
        With masks, or with folders of frames: a folder with the optical flow of every image; the folders below it (none
        but the style's is left out) and the files are named as those of the images. Default: flow is estimated when a
        model reads it, but for styles without the folder `unstyled`, whose clips have none.
    cache
        A folder to keep estimated flow in.

    Returns
    -------
    list of Clip
        Sorted by path, or as the manifest or the annotations list them. A clip's id is its video's path relative
        to the data set, then `@start-end` for a segment and `#k` for one of several clips.

    Raises
    ------
    InputError
        If nothing is found, or the manifest or an annotation is wrong. A clip that cannot be read raises it when
        it is loaded.

    Examples
    --------
    >>> open_clips("holiday.mp4", frames=8, stride=8, size=(224, 224))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: holiday.mp4 does not exist; give a video, a folder or a CSV manifest
    """
    if videos is not None and not is_generated(path) and Path(path).suffix.lower() not in LIST_SUFFIXES:
        raise InputError(f"videos is {videos}, but {path} is no file of annotations; leave videos out")
    found = (
        None
        if is_generated(path)
        else open_segmentation(
            path,
            frames=frames,
            stride=stride,
            size=size,
            clips_per_video=clips_per_video,
            videos=videos,
            split=split,
            flow=flow,
            cache=cache,
        )
    )
    if found is not None:
        return found
    if split is not None:
        raise InputError(f"split is {split}, but {path} is no data set with masks; leave split out")
    if flow is not None and (is_generated(path) or not Path(path).is_dir()):
        raise InputError(f"flow is {flow}, but {path} is no folder of frames; leave flow out")
    if flow is not None and not Path(flow).is_dir():
        raise InputError(f"flow is {flow}, which is no folder; give one with the flow of every image, or leave it out")
    if is_generated(path):
        return open_generated(str(path), frames, size, clips_per_video, videos)
    if clips_per_video < 1:
        raise InputError(f"clips_per_video is {clips_per_video}; without masks it must be at least 1")
    path = Path(path)
    windows = [Window(frames, stride, part, clips_per_video) for part in range(clips_per_video)]
    if flow is not None:
        return _folder(path, windows, size, Path(flow))
    clips = _unmasked(path, windows, size, videos)
    return clips if cache is None else [_with_kept_flow(clip, Path(cache), size) for clip in clips]


def _unmasked(path: Path, windows: Sequence[Window], size: tuple[int, int], videos: str | Path | None) -> list[Clip]:
    """Return the clips of videos without masks."""
    if path.is_dir():
        return _folder(path, windows, size)
    if not path.exists():
        raise InputError(f"{path} does not exist; give a video, a folder or a CSV manifest")
    if path.suffix.lower() in LIST_SUFFIXES:
        annotations = read_annotations(path)
        if annotations is not None:
            return _annotated(annotations, path.parent if videos is None else Path(videos), windows, size)
        if videos is not None:
            raise InputError(f"videos is {videos}, but {path} is a manifest; its paths are relative to itself")
        return _manifest(path, windows, size)
    return _cut(video_file(path, size), as_id(Path(path.name)), windows)


def _with_kept_flow(clip: Clip, folder: Path, size: tuple[int, int]) -> Clip:
    """Return a clip whose flow is estimated once."""
    if clip.load_flow is None:
        return clip
    return replace(clip, load_flow=cached(clip.load_flow, folder, clip.id, clip.stamp, *size, estimator()))


def _cut(video: Footage, name: str, windows: Sequence[Window], label: str | None = None) -> list[Clip]:
    """Return a clip per window of one video."""
    clips = []
    for window in windows:
        segment = ""
        if window.start is not None or window.end is not None:
            segment = f"@{window.start or 0:g}-{'' if window.end is None else f'{window.end:g}'}"
        clip_id = name + segment + _number(window)
        stamp = f"{video.stamp}; {window}"
        load, flow = video.loader(window), partial(video.flow, window)
        clips.append(Clip(clip_id, load, video=name, label=label, stamp=stamp, load_flow=flow))
    return clips


def _number(window: Window) -> str:
    """Return what tells the clips of one video from each other."""
    return f"#{window.part}" if window.parts > 1 else ""


def _folder(root: Path, windows: Sequence[Window], size: tuple[int, int], flow: Path | None = None) -> list[Clip]:
    """Return the clips of a folder of videos or frame folders, or of a folder of those per style."""
    videos = _videos(root, size)
    if not videos:
        raise InputError(
            f"{root} holds no video ({' '.join(VIDEO_SUFFIXES)}) and no folder of frames "
            f"({' '.join(IMAGE_SUFFIXES)}); give another folder"
        )
    tops = {path.parts[0] for path in videos}
    in_styles = len(tops - {UNSTYLED}) > 1 and all(STYLE_FOLDER.match(top) for top in tops - {UNSTYLED})
    names = {path: Path(*path.parts[1:]) if in_styles else path for path in videos}
    if flow:
        videos = {path: video.with_flow(flow, names[path], size) for path, video in videos.items()}
    if not in_styles:
        return [clip for path, video in videos.items() for clip in _cut(video, as_id(path), windows)]
    by_style: dict[str, dict[str, Footage]] = {}
    for path, video in videos.items():
        by_style.setdefault(path.parts[0], {})[as_id(names[path])] = video
    return _styled(root, by_style, windows)


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
    # Frames that lie in the given folder itself are a video named after the folder.
    return {
        folder.relative_to(root) if folder != root else Path(root.resolve().name): frame_folder(images[folder], size)
        for folder in sorted(images)
    }


def _styled(root: Path, by_style: dict[str, dict[str, Footage]], windows: Sequence[Window]) -> list[Clip]:
    """Return clips whose styled renderings are given; their flow is that of the unstyled videos, or given too."""
    clips = []
    for name in sorted(set().union(*by_style.values())):
        videos = _renderings(root, by_style, name)
        stamp = "; ".join(video.stamp for video in videos.values())
        unstyled = videos.pop(UNSTYLED, None)
        first = unstyled or next(iter(videos.values()))
        has_flow = unstyled or first.given_flow
        clips += [
            Clip(
                name + _number(window),
                first.loader(window),
                video=name,
                styled={style: video.loader(window) for style, video in videos.items()},
                stamp=f"{stamp}; {window}",
                load_flow=partial(first.flow, window) if has_flow else None,
            )
            for window in windows
        ]
    return clips


def _renderings(root: Path, by_style: dict[str, dict[str, Footage]], name: str) -> dict[str, Footage]:
    """Return one video in every style; where the styles disagree, videos that say so when they are read."""
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
        cut = _cut(video, as_id(Path(row.path)), segments, row.label)
        if (first := listed.setdefault(cut[0].id, row.where)) != row.where:
            raise InputError(f"{row.where} lists {cut[0].id} again, after {first.rstrip(',')}; remove one")
        clips += cut
    return clips


def _annotated(
    annotations: Sequence[Annotation], root: Path, windows: Sequence[Window], size: tuple[int, int]
) -> list[Clip]:
    """Return the clips of annotated videos; of those that are not below the folder, clips that say so when read."""
    if not root.is_dir():
        raise InputError(f"videos is {root}, which is no folder; give the folder of the annotated videos")
    found: dict[str, list[Path]] = {}
    for file in files_below(root):
        if file.suffix.lower() in VIDEO_SUFFIXES:
            found.setdefault(file.stem, []).append(file)
    clips: list[Clip] = []
    listed: dict[str, str] = {}
    for annotation in annotations:
        source = next((source for source in annotation.sources if source.stem in found), None)
        files = sorted(found[source.stem]) if source else []
        source = source or annotation.sources[0]
        name = files[0].relative_to(root) if files else Path(source.name)
        if not files:
            looked_for = " or ".join(source.name for source in annotation.sources)
            video = unusable(f"{looked_for} is not below {root}; add the video or give another folder of videos")
        elif len(files) > 1:
            video = unusable(f"{source.name} could be {files[0]} or {files[1]}; keep one of them below {root}")
        else:
            video = video_file(files[0], size)
        segments = [replace(window, start=source.start, end=source.end) for window in windows]
        cut = _cut(video, as_id(name), segments, annotation.label)
        if (first := listed.setdefault(cut[0].id, annotation.where)) != annotation.where:
            raise InputError(f"{annotation.where} lists {cut[0].id} again, after {first.rstrip(',')}; remove one")
        clips += cut
    return clips
