"""Data sets of video segmentation: clips with frames, masks and optical flow.

Opening lists files and reads lists; what is wrong with one video is reported when its clip is loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics._text import printable
from sdmetrics.clips.clip import Clip, Flow, Frames, Masks
from sdmetrics.clips.decode import read_image
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.cache import cached
from sdmetrics.clips.flow.estimate import estimate_flow, estimator
from sdmetrics.clips.flow.folder import flow_files, flow_of_images, flow_root
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, following, say_no_rate
from sdmetrics.clips.segmentation.annotated_video import AnnotatedVideo, fitted_mask
from sdmetrics.clips.segmentation.mask_folders import read_imagenet_vid, read_mask_folders
from sdmetrics.clips.segmentation.moca import read_moca, read_moca_list
from sdmetrics.clips.segmentation.splits import in_split
from sdmetrics.clips.segmentation.stretches import Stretch, annotated_stretches
from sdmetrics.clips.segmentation.youtube_vis import read_vis
from sdmetrics.clips.stamps import content_stamp
from sdmetrics.errors import InputError, note

FOLDERS = (read_moca, read_imagenet_vid, read_mask_folders)


def open_segmentation(request: ClipRequest, shape: ClipShape, cache: Path | None = None) -> list[Clip] | None:
    """List the clips of a data set of video segmentation; nothing is decoded until a clip is loaded.

    Frames are stretched to the size that is asked for, nothing is cropped, and masks keep the size of the annotation.
    Only for a model whose frames are scaled to another size before, frames, flow and masks are scaled and cropped so. A
    clip of a single frame is an annotated image. An image that clips of several frames show again, in another clip or
    because a short video is repeated, has its annotation in one place only, so that it counts once.

    Parameters
    ----------
    request
        Its path is the folder of DAVIS, YouTube-VOS, TAO-VOS (folders of images, and of PNG masks of the same names,
        see `mask_folders.read_mask_folders`), ImageNet VID (boxes, filled) or MoCA (likewise); the JSON file of
        YouTube-VIS or OVIS; or the CSV file of MoCA. Instead of a folder, its parent folder may be given.
    shape
        How many frames, how far apart and of which size.
    cache
        A folder to store estimated flow in. For the last image of a video, the flow that led to it is continued.

    Returns
    -------
    list of Clip, or None
        The label is the category of a video's objects where the data set names it and all have the same. None where the
        path is not such a data set.

    Raises
    ------
    InputError
        If a list or an argument is wrong. A clip that cannot be read raises it when it is loaded.

    Examples
    --------
    >>> open_segmentation(ClipRequest("holiday.mp4"), ClipShape(frames=1, stride=1, size=(473, 473))) is None
    True
    """
    per_video = request.clips_per_video
    videos = _annotated(Path(request.path), None if request.videos is None else Path(request.videos), request.split)
    if videos is None:
        return None
    frames = {video.images[0].parent for video in videos if video.images}
    flow = None if request.flow is None else flow_root(request.flow, frames)
    if shape.fps is not None and shape.frames > 1 and videos:
        say_no_rate(shape.fps)
    clips = []
    short = repeated = 0
    for video in videos:
        stretches = (
            [Stretch()] * (per_video or 1)
            if video.problem
            else annotated_stretches(len(video.images), video.annotated, shape, per_video)
        )
        short += per_video is not None and len(stretches) < per_video
        repeated += any(stretch.looped for stretch in stretches)
        for number, stretch in enumerate(stretches):
            clip_id = f"{video.name}#{number}" if len(stretches) > 1 else video.name
            clips.append(_clip(clip_id, video, stretch, Fit(shape.size, shape.resize or shape.size), flow, cache))
    if short:
        note(
            f"{printable(request.path)}: {short} of {len(videos)} videos are too short for {per_video} different clips "
            "and have fewer"
        )
    if repeated:
        apart = "" if shape.sampling == "spread" else f" with stride {shape.stride}"
        note(
            f"{printable(request.path)}: {repeated} of {len(videos)} videos are shorter than a clip of {shape.frames} "
            f"frames{apart}, so images are repeated in it"
        )
    return clips


@dataclass(frozen=True)
class _Shown:
    """What one clip shows of a video: the loader of its frames."""

    video: AnnotatedVideo
    stretch: Stretch
    fit: Fit

    def __call__(self) -> Frames:
        return _load(_frames, self.video, self.stretch.images, self.fit)

    @property
    def looped(self) -> bool:
        return self.stretch.looped

    @property
    def files(self) -> Sequence[Path]:
        return () if self.video.problem else self.video.images


def _clip(
    clip_id: str,
    video: AnnotatedVideo,
    stretch: Stretch,
    fit: Fit,
    flow: Path | None,
    cache: Path | None,
) -> Clip:
    """Return the clip of some images of a video."""
    chosen, scored = stretch.images, stretch.scored
    stamp = _stamp(video, chosen, flow)
    read_flow = _estimated if flow is None else partial(_given, flow)
    load_flow: Callable[[], Flow] = partial(_load, read_flow, video, chosen, fit)
    if flow is None and cache is not None:
        load_flow = cached(load_flow, cache, clip_id, stamp, str(fit), estimator())
    return Clip(
        clip_id,
        _Shown(video, stretch, fit),
        video=video.name,
        label=video.label,
        stamp=stamp,
        load_flow=load_flow,
        load_masks=partial(_load, partial(_masks, scored), video, chosen, fit),
        mask_stamp="" if video.problem else f"{content_stamp(video.annotations_of(chosen))}; scored {scored}",
        mask_ends=stretch.ends,
    )


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
            raise InputError(f"{path} holds several sets of annotated videos: {names}; pass one of them as split")
        if inside:
            root = (named or list(inside))[0]
            found = inside[root]
            split = None if named else split
    return found if found is None or split is None else in_split(found, split, root)


def _folder(root: Path) -> list[AnnotatedVideo] | None:
    """Return the annotated videos of a folder; None where its layout is not a known one."""
    return next((videos for read in FOLDERS if (videos := read(root)) is not None), None)


def _stamp(video: AnnotatedVideo, chosen: Sequence[int], flow: Path | None) -> str:
    """Return what identifies the images of a clip, and those or the files that its flow comes from."""
    if video.problem:
        return f"unusable: {video.problem}"
    images = [video.images[index] for index in chosen]
    if flow is not None:
        source = f"from {flow.name}: {content_stamp(flow_files(flow / video.folder, images))}"
    else:
        neighbours = [video.images[index] for index in following(chosen, len(video.images)) if index >= 0]
        source = f"estimated from {content_stamp(neighbours)}"
    return f"{content_stamp(images)}; flow {source}; read {' '.join(map(str, chosen))} of {len(video.images)}"


Read = Callable[[AnnotatedVideo, Sequence[int], Fit], NDArray[Any]]


def _load(read: Read, video: AnnotatedVideo, chosen: Sequence[int], fit: Fit) -> NDArray[Any]:
    """Read some images of a video, their masks or their flow, unless something is wrong with the video."""
    if video.problem:
        raise InputError(video.problem)
    return read(video, chosen, fit)


def _frames(video: AnnotatedVideo, chosen: Sequence[int], fit: Fit) -> Frames:
    """Return images, scaled and cropped."""
    decoded = {index: read_image(video.images[index], fit) for index in set(chosen)}
    return np.stack([decoded[index] for index in chosen])


def _masks(scored: Sequence[int], video: AnnotatedVideo, chosen: Sequence[int], fit: Fit) -> Masks:
    """Return the masks of images at the places that are scored; elsewhere nothing is annotated.

    They are cropped like the images; where nothing is cropped, they keep their own size.
    """
    masks = [video.mask(index, scored=place in scored) for place, index in enumerate(chosen)]
    if fit.resize != fit.size:
        masks = [fitted_mask(mask, video.images[index], fit) for mask, index in zip(masks, chosen, strict=True)]
    if len({mask.shape for mask in masks}) > 1:
        raise InputError(f"{video.name} has images of different sizes; a clip needs one size. Leave the video out")
    return np.stack(masks)


def _given(folder: Path, video: AnnotatedVideo, chosen: Sequence[int], fit: Fit) -> Flow:
    """Return the flow of images from the files of a folder."""
    return flow_of_images(folder / video.folder, [video.images[index] for index in chosen], fit)


def _estimated(video: AnnotatedVideo, chosen: Sequence[int], fit: Fit) -> Flow:
    """Return the flow of images to the next ones, estimated; for the last, what led to it is continued."""
    if len(video.images) < 2:
        raise InputError(
            f"{video.name} has a single image, which has no optical flow; leave the video out, or pass flow"
        )
    first, second = np.array(chosen), following(chosen, len(video.images))
    frames = _frames(video, [*first, *second], fit)
    flow = estimate_flow(*np.split(frames, 2))
    flow[second < first] *= -1
    return flow
