"""Data sets with parallel folders of images and annotations: DAVIS, YouTube-VOS, TAO-VOS, ImageNet VID."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.clips.segmentation.annotated_video import AnnotatedVideo, by_folder, paired
from sdmetrics.clips.segmentation.mask_decoding import Mask, fill_box, painted, read_mask
from sdmetrics.clips.videos.records import as_record
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PAIRS = (("JPEGImages", "Annotations"), ("frames", "annotations"), ("images", "masks"))
"""Names of the folders of images and of masks."""

RESOLUTIONS = ("480p", "1080p", "Full-Resolution")
"""Resolutions of DAVIS; if there are several, the first is read."""

VID = (Path("Data", "VID"), Path("Annotations", "VID"))
"""Folders of the images and the boxes of ImageNet VID."""


def read_mask_folders(root: Path) -> list[AnnotatedVideo] | None:
    """Return the videos of a folder with images and, in folders of the same names, PNG masks of some images.

    Data sets with this layout are DAVIS (`JPEGImages/480p/bear/00000.jpg` and `Annotations/480p/bear/00000.png`),
    YouTube-VOS, whose `meta.json` holds categories, and TAO-VOS. Returns None if there are no such folders or no masks.

    Raises
    ------
    InputError
        If a folder or `meta.json` cannot be read.

    Examples
    --------
    >>> read_mask_folders(Path("gone")) is None
    True
    """
    for images, masks in PAIRS:
        roots = root / images, root / masks
        inner = next((name for name in RESOLUTIONS if all((folder / name).is_dir() for folder in roots)), "")
        images_root, masks_root = (folder / inner for folder in roots)
        if images_root.is_dir() and masks_root.is_dir() and (files := by_folder(masks_root, [".png"])):
            notes = {folder: {mask.stem: mask for mask in found} for folder, found in files.items()}
            return paired(images_root, notes, _mask, _categories(root / "meta.json"))
    return None


def _mask(files: Sequence[Path], index: int, _: tuple[int, int]) -> Mask:
    """Return the PNG mask of an image of a video whose masks are in these files."""
    return read_mask(files[index])


def _categories(meta: Path) -> dict[str, str | None]:
    """Return the category of every video in YouTube-VOS' `meta.json`, or None if its objects have several."""
    if not meta.is_file():
        return {}
    try:
        content = json.loads(meta.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{meta} cannot be read as JSON ({error}); copy it again or remove it") from error
    videos = as_record(as_record(content, str(meta)).get("videos"), f"{meta}, videos,")
    labels = {}
    for name, video in videos.items():
        where = f"{meta}, video {name!r},"
        objects = as_record(as_record(video, where).get("objects"), f"{where} objects,")
        kinds = {as_record(item, f"{where} object {number!r},").get("category") for number, item in objects.items()}
        labels[name] = only_label(kinds)
    return labels


def only_label(categories: set[object]) -> str | None:
    """Return the category if there is exactly one and it is a text, otherwise None.

    Examples
    --------
    >>> only_label({"cat"}), only_label({"cat", "dog"})
    ('cat', None)
    """
    (label,) = categories if len(categories) == 1 else (None,)
    return label if isinstance(label, str) else None


def read_imagenet_vid(root: Path) -> list[AnnotatedVideo] | None:
    """Return the videos of ImageNet VID, with weak masks: the filled boxes of the objects.

    An object's number is the id of its track plus one. Smaller boxes cover larger ones. Returns None if there are no
    folders `Data/VID` and `Annotations/VID` with XML files.

    Raises
    ------
    InputError
        If a folder cannot be read.

    Examples
    --------
    >>> read_imagenet_vid(Path("gone")) is None
    True
    """
    images_root, boxes_root = (root / place for place in VID)
    if not images_root.is_dir() or not boxes_root.is_dir() or not (files := by_folder(boxes_root, [".xml"])):
        return None
    notes = {folder: {boxes.stem: boxes for boxes in found} for folder, found in files.items()}
    return paired(images_root, notes, _filled_boxes)


def _filled_boxes(files: Sequence[Path], index: int, size: tuple[int, int]) -> Mask:
    """Return the filled boxes of one frame; the annotation must have the size of the image, `size`."""
    from xml.etree import ElementTree

    path = files[index]
    try:
        frame = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path} cannot be read as XML ({error}); copy it again or remove it") from error
    where = f"{path}, size,"
    annotated = _number(frame, "size/height", where), _number(frame, "size/width", where)
    if annotated != size:
        raise InputError(
            f"{path} is for {annotated[0]} × {annotated[1]} pixels, but its image has {size[0]} × {size[1]}; use files "
            "from the same version of the data set"
        )
    boxes = []
    for index, item in enumerate(frame.iterfind("object")):
        where = f"{path}, object [{index}],"
        number = _number(item, "trackid", where) + 1
        # Both corners belong to the box.
        left, top, right, bottom = (_number(item, f"bndbox/{edge}", where) for edge in ("xmin", "ymin", "xmax", "ymax"))
        if right < left or bottom < top:
            raise InputError(f"{where} ends before it begins, at ({right}, {bottom}); correct or remove the object")
        boxes.append((number, (left, top, right + 1, bottom + 1)))
    boxes.sort(key=lambda box: (box[1][0] - box[1][2]) * (box[1][3] - box[1][1]))
    return painted([fill_box(box, size) for _, box in boxes], size, str(path), [number for number, _ in boxes])


def _number(element: Element, field: str, where: str) -> int:
    """Return the whole number in a field."""
    text = element.findtext(field)
    try:
        return int(text or "")
    except ValueError:
        has = f"no {field}" if text is None else f"the {field} {text!r}"
        raise InputError(f"{where} has {has}; expected a whole number. Correct or remove the file") from None
