"""Data sets of video segmentation: clips with frames, masks and optical flow.

Opening lists files and reads lists; what is wrong with one video shows when its clip is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.clip import Clip, Flow, Frames, Masks
from sdmetrics.clips.decode import read_image
from sdmetrics.clips.flow.cache import cached
from sdmetrics.clips.flow.estimate import estimate_flow, estimator
from sdmetrics.clips.flow.folder import flow_file, flow_of_images
from sdmetrics.clips.sampling import Window
from sdmetrics.clips.segmentation.annotated_video import AnnotatedVideo
from sdmetrics.clips.segmentation.mask_folders import read_imagenet_vid, read_mask_folders
from sdmetrics.clips.segmentation.moca import read_moca, read_moca_list
from sdmetrics.clips.segmentation.splits import in_split
from sdmetrics.clips.segmentation.youtube_vis import read_vis
from sdmetrics.errors import InputError

FOLDERS = (read_moca, read_imagenet_vid, read_mask_folders)


def open_segmentation(
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
) -> list[Clip] | None:
    """List the clips of a data set of video segmentation; nothing is decoded until a clip is loaded.

    Frames are stretched to `size`, nothing is cropped; masks keep the size of the annotation.

    Parameters
    ----------
    path
        The folder of DAVIS, YouTube-VOS, TAO-VOS (folders of images, and of PNG masks of the same names, see
        `segmentation_folders.read_mask_folders`), ImageNet VID (boxes, filled) or MoCA (likewise); the JSON file of
        YouTube-VIS or OVIS; the CSV file of MoCA. In the place of a folder, the one above it.
    frames, stride, size
        As of `datasets.open_clips`. A clip of a single frame is an annotated one.
    clips_per_video
        One clip is cut from the middle of its video, several are spread evenly over it. 0: all of it, that is, a clip
        for every annotated frame, or clips of several frames one after the other; the last begins earlier where the
        video would not fill it.
    videos
        With a JSON file: the folder of its images.
    split
        A file with the name of a video in every line, the name of one of the data set's own splits, or of a folder of
        its videos. Default: every annotated video.
    flow
        A folder with the optical flow of every image to the next of the video, as `.flo`, KITTI's PNG or colour-coded
        pictures; the folders below it and the files are named as those of the images. Default: it is estimated; at the
        last image, what led to it goes on.
    cache
        A folder to keep estimated flow in.

    Returns
    -------
    list of Clip, or None
        Clip and video ids as `datasets.open_clips` makes them. The label is the category of a video's objects where the
        data set names it and all have the same. None where `path` is no such data set.

    Raises
    ------
    InputError
        If a list or an argument is wrong. A clip that cannot be read raises it when it is loaded.

    Examples
    --------
    >>> open_segmentation("holiday.mp4", frames=1, stride=1, size=(473, 473)) is None
    True
    """
    if clips_per_video < 0:
        raise InputError(f"clips_per_video is {clips_per_video}; allowed: 1 and more, or 0 for all annotated frames")
    found = _annotated(Path(path), None if videos is None else Path(videos), split)
    if found is None:
        return None
    if flow is not None and not Path(flow).is_dir():
        raise InputError(f"flow is {flow}, which is no folder; give one with the flow of every image, or leave it out")
    moves = _estimated if flow is None else partial(_given, Path(flow))
    clips = []
    for video in found:
        stretches = _stretches(video, frames, stride, clips_per_video)
        about = _stamp(video, None if flow is None else Path(flow))
        for number, chosen in enumerate(stretches):
            clip_id = f"{video.name}#{number}" if len(stretches) > 1 else video.name
            stamp = f"{about}; read {' '.join(map(str, chosen))}"
            load_flow: Callable[[], Flow] = partial(_load, moves, video, chosen, size)
            if flow is None and cache is not None:
                load_flow = cached(load_flow, Path(cache), clip_id, stamp, *size)
            clips.append(
                Clip(
                    clip_id,
                    partial(_load, _frames, video, chosen, size),
                    video=video.name,
                    label=video.label,
                    stamp=stamp,
                    load_flow=load_flow,
                    load_masks=partial(_load, _masks, video, chosen, size),
                )
            )
    return clips


def _annotated(path: Path, videos: Path | None, split: str | Path | None) -> list[AnnotatedVideo] | None:
    """Return the annotated videos of a data set, or of one of its splits; None where it is another kind of data."""
    root, found = path, None
    if path.suffix.lower() == ".json":
        root, found = path.parent, read_vis(path, videos)
    elif path.suffix.lower() == ".csv":
        root, found = path.parent, read_moca_list(path, videos)
    elif path.is_dir() and (found := _folder(path)) is None:
        inside = {folder: inner for folder in sorted(path.glob("*/")) if (inner := _folder(folder)) is not None}
        named = [folder for folder in inside if folder.name == str(split)]
        if len(inside) > 1 and not named:
            names = ", ".join(folder.name for folder in inside)
            raise InputError(f"{path} holds several sets of annotated videos: {names}; give one of them as split")
        if inside:
            root = (named or list(inside))[0]
            found = inside[root]
            split = None if named else split
    return found if found is None or split is None else in_split(found, split, root)


def _folder(root: Path) -> list[AnnotatedVideo] | None:
    """Return the annotated videos of a folder; None where it has no layout that is known."""
    return next((found for read in FOLDERS if (found := read(root)) is not None), None)


def _stretches(video: AnnotatedVideo, frames: int, stride: int, clips_per_video: int) -> list[list[int]]:
    """Return the indices of the images of each clip of a video."""
    if video.problem:
        return [[]] * max(clips_per_video, 1)
    images = np.arange(len(video.images), dtype=np.float64)
    if frames == 1:
        if not clips_per_video:
            return [[index] for index in video.annotated]
        places = images[: len(video.annotated)]
        windows = [Window(1, 1, part, clips_per_video) for part in range(clips_per_video)]
        return [[video.annotated[place] for place in window.indices(places)] for window in windows]
    if clips_per_video:
        windows = [Window(frames, stride, part, clips_per_video) for part in range(clips_per_video)]
    else:
        length = frames * stride
        last = max(len(images) - length, 0)
        begins = (min(begin, last) for begin in range(0, len(images), length))
        windows = [Window(frames, stride, start=begin, end=begin + length) for begin in begins]
    return [window.indices(images).tolist() for window in windows]


def _stamp(video: AnnotatedVideo, flow: Path | None) -> str:
    """Return what tells the images of a video and their flow from others."""
    first = next(iter(video.images), None)
    moves = flow_file(flow / video.folder, first) if flow and first else None
    source = estimator() if flow is None else f"from {flow.name}, the first {_bytes(moves)}"
    return f"{len(video.images)} images, the first {_bytes(first)}; flow {source}"


def _bytes(file: Path | None) -> str:
    """Return the size of a file that may not be there."""
    return str(file.stat().st_size) if file and file.exists() else "missing"


Read = Callable[[AnnotatedVideo, Sequence[int], tuple[int, int]], NDArray[Any]]


def _load(read: Read, video: AnnotatedVideo, chosen: Sequence[int], size: tuple[int, int]) -> NDArray[Any]:
    """Read some images of a video, their masks or their flow, unless something is wrong with the video."""
    if video.problem:
        raise InputError(video.problem)
    return read(video, chosen, size)


def _frames(video: AnnotatedVideo, chosen: Sequence[int], size: tuple[int, int]) -> Frames:
    """Return images in a size."""
    decoded = {index: read_image(video.images[index], size, stretched=True) for index in set(chosen)}
    return np.stack([decoded[index] for index in chosen])


def _masks(video: AnnotatedVideo, chosen: Sequence[int], _: tuple[int, int]) -> Masks:
    """Return the masks of images, in their own size."""
    masks = [video.mask(index) for index in chosen]
    if len({mask.shape for mask in masks}) > 1:
        raise InputError(f"{video.name} has images of different sizes; a clip needs one size. Leave the video out")
    return np.stack(masks)


def _given(folder: Path, video: AnnotatedVideo, chosen: Sequence[int], size: tuple[int, int]) -> Flow:
    """Return the flow of images from the files of a folder, in a size."""
    return flow_of_images(folder / video.folder, [video.images[index] for index in chosen], size, stretched=True)


def _estimated(video: AnnotatedVideo, chosen: Sequence[int], size: tuple[int, int]) -> Flow:
    """Return the flow of images to the next ones, estimated in a size; behind the last, what led to it goes on."""
    if len(video.images) < 2:
        raise InputError(
            f"{video.name} has a single image, which has no optical flow; leave the video out, or give flow"
        )
    first = np.array(chosen)
    second = np.where(first + 1 < len(video.images), first + 1, first - 1)
    shown = _frames(video, [*first, *second], size)
    flow = estimate_flow(*np.split(shown, 2))
    flow[second < first] *= -1
    return flow
