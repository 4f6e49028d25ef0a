"""open_clips(): the clips of whatever a path names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.cache import cached
from sdmetrics.clips.flow.estimate import estimator
from sdmetrics.clips.generated.names import is_generated, open_generated
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.segmentation.datasets import open_segmentation
from sdmetrics.clips.videos.annotations import read_annotations
from sdmetrics.clips.videos.datasets import LIST_SUFFIXES, _annotated, _cut, _folder, _manifest
from sdmetrics.clips.videos.footage import video_file
from sdmetrics.clips.videos.listing import as_id
from sdmetrics.errors import InputError


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
