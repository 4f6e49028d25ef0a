"""Listing the files of a data set: walking through folders, sorting, and names."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.errors import InputError

# fmt: off
VIDEO_SUFFIXES = (
    ".3gp", ".apng", ".asf", ".avi", ".flv", ".gif", ".m2ts", ".m4v", ".mjpeg", ".mkv",
    ".mov", ".mp4", ".mpeg", ".mpg", ".mts", ".ogv", ".ts", ".webm", ".wmv",
)
# fmt: on
IMAGE_SUFFIXES = (".bmp", ".jpeg", ".jpg", ".png", ".webp")


def files_below(root: Path) -> Iterator[Path]:
    """Yield all files below a folder, following links and skipping hidden files and folders.

    Raises
    ------
    InputError
        If a folder cannot be listed.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     Path(folder, ".hidden").touch()
    ...     Path(folder, "a.mp4").touch()
    ...     [file.name for file in files_below(Path(folder))]
    ['a.mp4']
    """
    seen = set()
    for folder, below, names in os.walk(root, onerror=_unreadable, followlinks=True):
        real = os.path.realpath(folder)
        below[:] = [name for name in below if not name.startswith(".") and real not in seen]
        if real not in seen:
            yield from (Path(folder, name) for name in names if not name.startswith("."))
        seen.add(real)


def _unreadable(error: OSError) -> None:
    """Raise an error for a folder that cannot be listed, instead of skipping its videos."""
    raise InputError(
        f"{printable(error.filename)} cannot be listed ({error.strerror}); correct its permissions"
    ) from error


def in_order(file: Path) -> tuple[list[str | int], str]:
    """Return a sort key that places frame 10 after frame 9.

    Examples
    --------
    >>> sorted([Path("frame10.jpg"), Path("frame9.jpg")], key=in_order)[0].name
    'frame9.jpg'
    """
    parts = re.split(r"(\d+)", file.name)
    return [int(part) if i % 2 else part for i, part in enumerate(parts)], file.name


def as_id(path: Path) -> str:
    r"""Return a path as an id, with `/` between its parts and escapes for bytes that are not UTF-8.

    Examples
    --------
    >>> as_id(Path("class", "wave\udcff.mp4"))
    'class/wave\\udcff.mp4'
    """
    return path.as_posix().encode("utf-8", "backslashreplace").decode()
