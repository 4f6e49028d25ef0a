"""Data sets of folders of images beside folders of annotations: DAVIS, YouTube-VOS, TAO-VOS, ImageNet VID."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sdmetrics.clips.segmentation.annotated_video import AnnotatedVideo, by_folder, paired
from sdmetrics.clips.segmentation.mask_decoding import Mask, fill_box, painted, read_mask
from sdmetrics.clips.videos.records import as_record
from sdmetrics.errors import InputError

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

PAIRS = (("JPEGImages", "Annotations"), ("frames", "annotations"), ("images", "masks"))
"""How the folders of images and of masks beside them are called."""

RESOLUTIONS = ("480p", "1080p", "Full-Resolution")
"""DAVIS comes in several; where there are more than one, the first is read."""

VID = (Path("Data", "VID"), Path("Annotations", "VID"))
"""Where ImageNet VID has its images and its boxes."""


def read_mask_folders(root: Path) -> list[AnnotatedVideo] | None:
    """Return the videos of a folder with images and, in folders of the same names, PNG masks of some of them.

    So come DAVIS (`JPEGImages/480p/bear/00000.jpg` and `Annotations/480p/bear/00000.png`), YouTube-VOS, whose
    `meta.json` tells categories, and TAO-VOS. Returns None where there are no such folders or no masks.

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
        inner = next((name for name in RESOLUTIONS if all((found / name).is_dir() for found in roots)), "")
        images_root, masks_root = (found / inner for found in roots)
        if images_root.is_dir() and masks_root.is_dir() and (files := by_folder(masks_root, [".png"])):
            notes = {folder: {mask.stem: mask for mask in found} for folder, found in files.items()}
            return paired(images_root, notes, _masks_of(notes), _categories(root / "meta.json"))
    return None


def _masks_of(
    notes: Mapping[Path, Mapping[str, Path]],
) -> Callable[[Path, Sequence[str]], Callable[[int, tuple[int, int]], Mask]]:
    """Return what reads the PNG masks of a folder."""
    return lambda folder, stems: lambda index, _: read_mask(notes[folder][stems[index]])


def _categories(meta: Path) -> dict[str, str | None]:
    """Return the category of every video in YouTube-VOS' `meta.json` whose objects are of one."""
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
        found = {as_record(item, f"{where} object {number!r},").get("category") for number, item in objects.items()}
        labels[name] = only_label(found)
    return labels


def only_label(categories: set[object]) -> str | None:
    """Return the category that there is, if it is one and a text.

    Examples
    --------
    >>> only_label({"cat"}), only_label({"cat", "dog"})
    ('cat', None)
    """
    (label,) = categories if len(categories) == 1 else (None,)
    return label if isinstance(label, str) else None


def read_imagenet_vid(root: Path) -> list[AnnotatedVideo] | None:
    """Return the videos of ImageNet VID, whose masks are weak: the boxes of the objects, filled.

    An object's number is its track's plus one; a smaller box covers a larger. Returns None where there are no folders
    `Data/VID` and `Annotations/VID` with XML files.

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
    return paired(
        images_root,
        notes,
        lambda folder, stems: lambda index, size: _filled_boxes(notes[folder][stems[index]], size),
    )


def _filled_boxes(path: Path, size: tuple[int, int]) -> Mask:
    """Return the boxes of one frame, filled, in the size that the annotation gives; it should be `size`."""
    from xml.etree import ElementTree

    try:
        frame = ElementTree.parse(path).getroot()
    except (OSError, ElementTree.ParseError, ValueError) as error:
        raise InputError(f"{path} cannot be read as XML ({error}); copy it again or remove it") from error
    where = f"{path}, size,"
    given = _number(frame, "size/height", where), _number(frame, "size/width", where)
    if given != size:
        raise InputError(
            f"{path} annotates {given[0]} × {given[1]} pixels, and its image has {size[0]} × {size[1]}; take both from "
            "the same version of the data set"
        )
    boxes = []
    for index, item in enumerate(frame.iterfind("object")):
        where = f"{path}, object [{index}],"
        number = _number(item, "trackid", where) + 1
        # The corners are pixels that belong to the box.
        left, top, right, bottom = (_number(item, f"bndbox/{edge}", where) for edge in ("xmin", "ymin", "xmax", "ymax"))
        if right < left or bottom < top:
            raise InputError(f"{where} ends before it begins, at {right}, {bottom}; correct or remove the object")
        boxes.append((number, (left, top, right + 1, bottom + 1)))
    boxes.sort(key=lambda box: (box[1][0] - box[1][2]) * (box[1][3] - box[1][1]))
    return painted([fill_box(box, size) for _, box in boxes], size, str(path), [number for number, _ in boxes])


def _number(element: Element, field: str, where: str) -> int:
    """Return a field that is a whole number."""
    text = element.findtext(field)
    try:
        return int(text or "")
    except ValueError:
        has = f"no {field}" if text is None else f"the {field} {text!r}"
        raise InputError(f"{where} has {has}; allowed: a whole number. Correct or remove the file") from None
