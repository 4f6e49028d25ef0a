"""YouTube-VIS and OVIS: one JSON file lists videos, their objects, and the mask of each object in every frame."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from sdmetrics.clips.segmentation.annotated_video import AnnotatedVideo
from sdmetrics.clips.segmentation.mask_decoding import Mask, Region, decode_runs, fill_polygons, painted
from sdmetrics.clips.segmentation.mask_folders import only_label
from sdmetrics.clips.videos.records import as_record, list_of, number_of, text_of, wrong_field
from sdmetrics.errors import InputError

Record = Mapping[str, object]


def read_vis(path: Path, videos: Path | None = None) -> list[AnnotatedVideo] | None:
    """Return the videos, with all images annotated, that a JSON file of YouTube-VIS or OVIS lists.

    Parameters
    ----------
    path
        The file, e.g. `train.json`, `instances.json` or `annotations_train.json`.
    videos
        The folder of the images, or a folder above it. Default: the folder of the file, and its parent.

    Returns
    -------
    list of AnnotatedVideo, or None
        None if the file is not such a list.

    Raises
    ------
    InputError
        If a record is wrong, the file lists no annotations, or its images are not found. Errors in the masks are raised
        when the masks are read.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "list.json")
    ...     _ = path.write_text('[{"id": "74225", "template": "Spinning [something]"}]')
    ...     read_vis(path) is None
    True
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"), object_hook=_compact)
    except (OSError, ValueError, RecursionError):
        return None
    if not isinstance(content, dict) or not isinstance(content.get("videos"), list):
        return None
    if not content["videos"] or not content.get("annotations"):
        raise InputError(f"{path} lists no annotated video; use the file of a split whose annotations are published")
    objects = _objects(path, content)
    categories = _categories(path, content)
    listed: dict[int, tuple[str, Record]] = {}
    for index, video in enumerate(content["videos"]):
        where = f"{path}, video [{index}],"
        number = number_of(as_record(video, where), "id", where)
        if number in listed:
            raise InputError(f"{where} has the id {number}, as {listed[number][0].rstrip(',')}; remove one")
        listed[number] = (where, video)
    if unlisted := sorted(objects.keys() - listed.keys()):
        where = objects[unlisted[0]][0][0]
        raise InputError(f"{where} has the video_id {unlisted[0]}, which is not listed; correct or remove it")
    files = {number: _file_names(video, where) for number, (where, video) in listed.items()}
    root = _images_root(path, videos, [names[0] for names in files.values()])
    found: dict[Path, AnnotatedVideo] = {}
    for number, (where, _) in listed.items():
        folder = Path(files[number][0]).parent
        if folder in found:
            raise InputError(f"{where} has images in {folder}, which is the folder of another video; remove one")
        own = objects.get(number, [])
        kinds: set[object] = {categories.get(number_of(item, "category_id", at)) for at, item in own}
        images = tuple(root / name for name in files[number])
        masks = _MaskReader(where, own, len(images))
        found[folder] = AnnotatedVideo(folder, images, tuple(range(len(images))), masks, (path,), only_label(kinds))
    return list(found.values())


def _compact(record: dict[str, object]) -> dict[str, object]:
    """Convert run lengths to an array: there are millions, and a list takes several times the memory."""
    counts = record.get("counts")
    if isinstance(counts, list) and counts and all(type(count) is int and 0 <= count < 2**31 for count in counts):
        record["counts"] = np.array(counts, np.int32)
    return record


def _objects(path: Path, content: Record) -> dict[int, list[tuple[str, Record]]]:
    """Return the records of the objects, each with its name for errors, by the id of their video."""
    by_video: dict[int, list[tuple[str, Record]]] = {}
    seen: dict[int, str] = {}
    for index, item in enumerate(list_of(content, "annotations", str(path), "objects")):
        where = f"{path}, annotation [{index}],"
        record = as_record(item, where)
        number = number_of(record, "id", where)
        if number in seen:
            raise InputError(f"{where} has the id {number}, as {seen[number].rstrip(',')}; remove one")
        seen[number] = where
        list_of(record, "segmentations", where, "masks, one for each frame")
        number_of(record, "category_id", where)
        by_video.setdefault(number_of(record, "video_id", where), []).append((where, record))
    return by_video


def _categories(path: Path, content: Record) -> dict[int, str]:
    """Return the names of the categories by id."""
    named = {}
    for index, item in enumerate(list_of(content, "categories", str(path), "categories")):
        where = f"{path}, category [{index}],"
        record = as_record(item, where)
        named[number_of(record, "id", where)] = text_of(record, "name", where)
    return named


def _file_names(video: Record, where: str) -> list[str]:
    """Return the names of a video's images, which must be below the folder of images."""
    names = list_of(video, "file_names", where, "images")
    for name in names:
        image = PurePosixPath(name) if isinstance(name, str) else PurePosixPath()
        if not image.name or image.is_absolute() or ".." in image.parts:
            raise wrong_field(where, "file_names", name, "paths below the folder of the images")
    if not names:
        raise wrong_field(where, "file_names", names, "at least one image")
    return [str(name) for name in names]


def _images_root(path: Path, videos: Path | None, firsts: Sequence[str]) -> Path:
    """Return the folder with most of the given images: in `videos` or, by default, near the annotations."""
    near = [path.parent, path.parent.parent] if videos is None else [videos]
    below = ["", "JPEGImages", path.stem, f"{path.stem}/JPEGImages", "*", "*/JPEGImages"]
    candidates = dict.fromkeys(
        root for above in near for pattern in below for root in (sorted(above.glob(pattern)) if pattern else [above])
    )
    count = {root: sum(os.path.isfile(root / first) for first in firsts) for root in candidates}  # noqa: PTH113
    best = max(count, key=lambda root: count[root], default=path.parent)
    if not count.get(best):
        raise InputError(
            f"{path} lists {firsts[0]}, but neither it nor the first image of another video is below "
            f"{' or '.join(map(str, near))}; pass the folder of the images as videos"
        )
    return best


class _MaskReader:
    """Reader of the segmentation masks of one video, frame by frame."""

    def __init__(self, where: str, objects: Sequence[tuple[str, Record]], frames: int) -> None:
        self.where, self.objects, self.frames = where, objects, frames

    def __call__(self, index: int, size: tuple[int, int]) -> Mask:
        """Return the mask of one frame, with objects numbered in the order of the list."""
        numbers, regions = [], []
        for number, (where, record) in enumerate(self.objects, 1):
            masks = list_of(record, "segmentations", where, "masks")
            if len(masks) != self.frames:
                raise InputError(
                    f"{where} has {len(masks)} segmentations, but its video has {self.frames} images; correct or "
                    "remove the record"
                )
            if masks[index] is not None:
                numbers.append(number)
                regions.append(_region(masks[index], size, f"{where} frame {index},"))
        return painted(regions, size, self.where, numbers)


def _region(mask: object, size: tuple[int, int], where: str) -> Region:
    """Decode the mask of one object: polygons, or run lengths with their size."""
    if isinstance(mask, list):
        return fill_polygons(mask, size, where)
    record = as_record(mask, where)
    mask_size, counts = record.get("size"), record.get("counts")
    if mask_size != list(size):
        raise wrong_field(where, "size", mask_size, f"[{size[0]}, {size[1]}], the size of its image")
    if not isinstance(counts, str | list | np.ndarray):
        raise wrong_field(where, "counts", counts, "run lengths")
    return decode_runs(counts, size, where)
