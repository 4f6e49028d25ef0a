"""Which images of one folder are the frames of its video, by the patterns of their names."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from sdmetrics._text import printable

FLOW_X = re.compile(r"(flow_)?x[_-]?#(\.\w+)?")
"""The names of images of horizontal flow in the folder of the frames, as TSN, denseflow and mmaction2 write them."""


@dataclass(frozen=True)
class Images:
    """The images of a folder: frames, and the horizontal and vertical parts of flow; or why that is not known."""

    frames: Sequence[Path]
    x: Sequence[Path] = ()
    y: Sequence[Path] = ()
    problem: str = ""

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.frames) + len(self.x) + len(self.y)


def told_apart(folder: Path, images: Sequence[Path]) -> Images:
    """Tell the frames of a folder from other images.

    Images whose names differ only in their numbers are frames. Beside those, only the flow of TSN, denseflow and
    mmaction2 is known: `x_00001.jpg` and `y_00001.jpg`, or `flow_x_00001.jpg` and `flow_y_00001.jpg`.

    Examples
    --------
    >>> names = ["img_00001.jpg", "img_00002.jpg", "x_00001.jpg", "y_00001.jpg"]
    >>> images = told_apart(Path("a"), [Path("a", name) for name in names])
    >>> len(images.frames), len(images.x), len(images.y)
    (2, 1, 1)
    >>> told_apart(Path("a"), [Path("a/1.jpg"), Path("a/1_mask.png")]).problem
    "a has images of 2 patterns of names (#.jpg: 1, #_mask.png: 1), and only one of them can be a video's frames; \
move all others to another folder"
    """
    patterns = by_pattern(images)
    x = next((name for name in patterns if FLOW_X.fullmatch(name) and _vertical(name) in patterns), None)
    flow = () if x is None else (x, _vertical(x))
    frames = [name for name in patterns if name not in flow]
    if len(frames) == 1:
        x_files, y_files = (patterns[name] for name in flow) if flow else ((), ())
        return Images(patterns[frames[0]], x_files, y_files)
    if flow and not frames:
        return Images(images, problem=f"{printable(folder)} has images of optical flow and no frames; add them")
    counts = [f"{printable(name)}{_suffix(name, files)}: {len(files)}" for name, files in patterns.items()]
    shown = ", ".join(counts[:4]) + (", …" if len(counts) > 4 else "")
    return Images(
        images,
        problem=f"{printable(folder)} has images of {len(counts)} patterns of names ({shown}), and only one of them "
        "can be a video's frames; move all others to another folder",
    )


def by_pattern(images: Sequence[Path]) -> Mapping[str, list[Path]]:
    """Return images by their names without the suffix, where `#` stands for any number.

    Suffixes count where the names of two images differ in nothing else.

    Examples
    --------
    >>> list(by_pattern([Path("img_9.jpg"), Path("img_10.png"), Path("cover.jpg")]))
    ['img_#', 'cover']
    >>> list(by_pattern([Path("9.jpg"), Path("9.png")]))
    ['#.jpg', '#.png']
    """
    twice = len({image.stem for image in images}) < len(images)
    patterns: dict[str, list[Path]] = {}
    for image in images:
        name = re.sub("[0-9]+", "#", image.stem) + (image.suffix.lower() if twice else "")
        patterns.setdefault(name, []).append(image)
    return patterns


def uneven(frames: Sequence[Path]) -> bool:
    """Return whether the numbers of frames, in natural order, rise in unequal steps.

    Some frames may be missing then, or a folder may hold the frames of several videos.

    Examples
    --------
    >>> uneven([Path("img_00000.jpg"), Path("img_00005.jpg"), Path("img_00010.jpg")])
    False
    >>> uneven([Path("v1_1.jpg"), Path("v1_2.jpg"), Path("v2_1.jpg"), Path("v2_2.jpg")])
    True
    """
    numbers = [[int(number) for number in re.findall("[0-9]+", frame.stem)] for frame in frames]
    return len({tuple(b - a for a, b in zip(*pair, strict=False)) for pair in pairwise(numbers)}) > 1


def _vertical(name: str) -> str:
    """Return the pattern of the vertical flow beside that of the horizontal one."""
    return name.replace("x", "y", 1)


def _suffix(name: str, files: Sequence[Path]) -> str:
    """Return the suffix of files whose pattern does not hold it."""
    suffixes = {file.suffix.lower() for file in files}
    (suffix,) = suffixes if len(suffixes) == 1 else ("",)
    return "" if name.endswith(suffix) else suffix
