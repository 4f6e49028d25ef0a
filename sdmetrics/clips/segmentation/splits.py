"""Splits: named subsets of the annotated videos of a data set."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path, PurePosixPath

from sdmetrics.clips.segmentation.annotated_video import AnnotatedVideo
from sdmetrics.clips.segmentation.mask_decoding import Mask
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES
from sdmetrics.errors import InputError

LISTS = tuple(Path("ImageSets", version) for version in ("480p", "2016", "2017", ""))
"""Folders of the lists of a data set's own splits; the first that exists is read."""


def in_split(videos: Sequence[AnnotatedVideo], split: str | Path, root: Path) -> list[AnnotatedVideo]:
    """Return the videos of a split, in its order.

    Parameters
    ----------
    videos
        All annotated videos of the data set.
    split
        A text file with the name of a video, or of one of its images (as in DAVIS), in every line; the name of one of
        the data set's own lists, e.g. `"val"` for `ImageSets/480p/val.txt`; or the name of one of its folders of
        videos.
    root
        The folder of the data set.

    Returns
    -------
    list of AnnotatedVideo
        A listed video that is missing is included as a video whose `problem` says so.

    Raises
    ------
    InputError
        If there is no such split, or its list is empty, cannot be read or lists a video twice.

    Examples
    --------
    >>> in_split([], "val", Path("DAVIS"))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: split is val; allowed: a file with the name of a video in every line
    """
    own = [root / place / f"{split}.txt" for place in LISTS]
    path = next((path for path in (Path(split), *own) if os.path.isfile(path)), None)  # noqa: PTH113
    if path is not None:
        named = {video.name: video for video in videos}
        return [named.get(name) or _missing(name, where, root) for name, where in _listed(path).items()]
    inside = [video for video in videos if len(video.folder.parts) > 1 and video.folder.parts[0] == str(split)]
    if not inside:
        lists = {file.stem for place in LISTS for file in (root / place).glob("*.txt")}
        known = sorted(lists | {video.folder.parts[0] for video in videos if len(video.folder.parts) > 1})
        raise InputError(
            f"split is {split}; allowed: a file with the name of a video in every line{', or '.join(['', *known])}"
        )
    return inside


def _listed(path: Path) -> dict[str, str]:
    """Return the names of the videos that a file lists, each with its line for errors."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a list of videos ({error}); write it as UTF-8 text") from error
    listed: dict[str, str] = {}
    for number, line in enumerate(lines, 1):
        where = f"{path}, line {number},"
        if not line.strip():
            continue
        image = PurePosixPath(line.split()[0])
        if image.suffix.lower() in IMAGE_SUFFIXES:
            listed.setdefault(image.parent.name, where)
        elif (first := listed.setdefault(line.strip(), where)) != where:
            raise InputError(f"{where} lists {line.strip()} again, after {first.rstrip(',')}; remove one")
    if not listed:
        raise InputError(f"{path} lists no video; write the name of one in every line")
    return listed


def _missing(name: str, where: str, root: Path) -> AnnotatedVideo:
    """Return a placeholder for a video that is missing."""
    problem = f"{where} lists {name}, which is not an annotated video below {root}; add it or remove the line"

    return AnnotatedVideo(Path(name), (), (), partial(_fail, problem), (), problem=problem)


def _fail(problem: str, index: int, size: tuple[int, int]) -> Mask:  # noqa: ARG001 (the signature of all readers)
    """Raise what is wrong with a video."""
    raise InputError(problem)
