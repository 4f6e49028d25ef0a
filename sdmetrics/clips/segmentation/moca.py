"""MoCA (Moving Camouflaged Animals): a CSV file lists a box for some of the images of every video."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from sdmetrics.clips.segmentation.annotated_video import AnnotatedVideo, paired
from sdmetrics.clips.segmentation.mask_decoding import Mask, fill_box, painted
from sdmetrics.errors import InputError

Box = tuple[str, tuple[float, float, float, float]]
"""The line of the box, for errors, and its left, top, width and height in pixels."""

PLACES = (Path("Annotations", "annotations.csv"), Path("annotations.csv"))
"""Paths of the annotations in the folder of the data set."""

RECTANGLE = 2
"""The annotation tool's number for rectangles."""


def read_moca(root: Path) -> list[AnnotatedVideo] | None:
    """Return the videos of MoCA, with filled boxes as masks, or None if the folder is not MoCA.

    Raises
    ------
    InputError
        If a line is wrong.

    Examples
    --------
    >>> read_moca(Path("gone")) is None
    True
    """
    lists = (root / place for place in PLACES)
    return next((found for path in lists if path.is_file() and (found := read_moca_list(path, root))), None)


def read_moca_list(path: Path, root: Path | None = None) -> list[AnnotatedVideo] | None:
    r"""Return the videos that a CSV file of MoCA lists, or None for any other file.

    The format is that of the VGG Image Annotator: `file_list` names an image, e.g. `/crab/00005.jpg`, and
    `spatial_coordinates` its box, `[2, x, y, width, height]` in pixels. Lines without a box are skipped.

    Parameters
    ----------
    path
        The CSV file.
    root
        The folder that contains `JPEGImages`. Default: the folder of the file, or its parent.

    Raises
    ------
    InputError
        If a line is wrong, or `JPEGImages` is missing.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, "JPEGImages").mkdir()
    ...     path = Path(folder, "annotations.csv")
    ...     _ = path.write_text('file_list,spatial_coordinates\n/crab/00000.jpg,"[2,10,20,30,40]"\n')
    ...     [(video.name, video.annotated) for video in read_moca_list(path)]
    [('crab', ())]
    """
    lines = _lines(path)
    if lines is None:
        return None
    near = [path.parent, path.parent.parent] if root is None else [root]
    images_root = next((above / "JPEGImages" for above in near if (above / "JPEGImages").is_dir()), None)
    if images_root is None:
        raise InputError(f"{path} needs the folder JPEGImages beside it or in {near[-1]}; add the folder")
    boxes: dict[Path, dict[str, list[Box]]] = {}
    for where, name, shape in lines:
        image = _image(name, where)
        if values := _values(shape, where):
            boxes.setdefault(Path(image.parent), {}).setdefault(image.stem, []).append((where, values))
    if not boxes:
        raise InputError(f"{path} lists no box; copy it again")
    return paired(images_root, boxes, _filled, file=path)


def _lines(path: Path) -> list[tuple[str, str, str]] | None:
    """Return the name for errors, the image and the shape of every line, or None if these columns are missing."""
    try:
        rows = list(csv.reader(path.read_text(encoding="utf-8-sig").splitlines()))
    except (OSError, ValueError, csv.Error):
        return None
    columns: list[str] = []
    lines = []
    for number, row in enumerate(rows, 1):
        # The header is a comment, or the first line that is not a comment.
        comment = bool(row) and row[0].lstrip().startswith("#")
        if row and not columns and (not comment or "CSV_HEADER" in row[0]):
            columns = [name.rpartition("=")[2].strip() for name in row]
            if not {"file_list", "spatial_coordinates"} <= set(columns):
                return None
        elif row and not comment:
            values = dict(zip(columns, row, strict=False))
            image, shape = (values.get(column, "") for column in ("file_list", "spatial_coordinates"))
            lines.append((f"{path}, line {number},", image, shape))
    return lines if columns else None


def _image(name: str, where: str) -> PurePosixPath:
    """Return the path of the image of a line, relative to the folder of images."""
    try:
        files = json.loads(name) if name.startswith("[") else [name]
    except (ValueError, RecursionError):
        files = []
    if len(files) == 1 and isinstance(files[0], str):
        image = PurePosixPath(files[0].lstrip("/"))
        if len(image.parts) > 1 and ".." not in image.parts:
            return image
    raise InputError(f"{where} has the file_list {name!r}; expected one image, e.g. /crab/00005.jpg. Correct the line")


def _values(shape: str, where: str) -> tuple[float, float, float, float] | None:
    """Return left, top, width and height of a box, or None if there is no shape."""
    try:
        numbers = json.loads(shape or "[]")
        if numbers == []:
            return None
        kind, left, top, width, height = (float(number) for number in numbers)
        if kind == RECTANGLE and all(map(math.isfinite, (left, top, width, height))):
            return left, top, width, height
    except (TypeError, ValueError, RecursionError):
        pass
    raise InputError(
        f"{where} has the spatial_coordinates {shape!r}; expected [{RECTANGLE}, x, y, width, height]. Correct or "
        "remove the line"
    )


def _filled(boxes: Sequence[Sequence[Box]], index: int, size: tuple[int, int]) -> Mask:
    """Return the mask of an image of a video with these boxes: its own, filled."""
    regions = []
    for where, (left, top, width, height) in boxes[index]:
        if width <= 0 or height <= 0:
            raise InputError(f"{where} has a box of {width:g} × {height:g} pixels; correct or remove the line")
        regions.append(fill_box((left, top, left + width, top + height), size))
    return painted(regions, size, boxes[index][0][0])
