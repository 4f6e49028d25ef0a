"""Videos that are listed twice: under two names, by links or as copies."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

import numpy as np

TAIL, END = 4 * 1024, 64 * 1024
"""Bytes at the end of a video that are compared first, and at either end before all of it is read."""

UNKNOWN = -1
"""The size of what cannot be compared; no hash is -1."""

Files = Sequence[Path]


def first_of_same_content(videos: Mapping[str, Files]) -> dict[str, str]:
    """Return for every video the first name, in alphabetical order, of a video with the same content.

    If files have the same size, links to one file need no more; the ends of others are compared, and where these are
    equal, too, all bytes, so that hardly anything but copies is read. What cannot be read is itself.

    Parameters
    ----------
    videos
        By name, the files that a video is read from: itself, or its frames in order.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     paths = {name: Path(folder, name) for name in ("a.mp4", "b.mp4", "c.mp4")}
    ...     for path, content in zip(paths.values(), ("one", "two", "one"), strict=True):
    ...         _ = path.write_text(content)
    ...     first_of_same_content({name: [path] for name, path in paths.items()})
    {'a.mp4': 'a.mp4', 'b.mp4': 'b.mp4', 'c.mp4': 'a.mp4'}
    """
    first = {name: name for name in videos}
    alike = _of_one_size(sorted(videos), videos)
    for key, proves in ((_inodes, True), (_tail, False), (_ends, False), (_all_bytes, True)):
        parted = [part for group in alike for part in _parted(group, videos, key)]
        if not proves:
            alike = [part for part in parted if len(part) > 1]
            continue
        for part in parted:
            first |= dict.fromkeys(part[1:], part[0])
        alike = [[name for name in group if first[name] == name] for group in alike]
    for name, other in first.items():
        first[name] = first[other]  # of a link to a copy it is known only of what it is a link
    return first


def _of_one_size(names: Sequence[str], videos: Mapping[str, Files]) -> list[list[str]]:
    """Return groups of names whose files are of equal sizes, and few others; names that are alone are left out.

    There may be a million, of which numbers take the least memory.
    """
    sizes = np.fromiter((_size(videos[name]) for name in names), np.int64, len(names))
    order = np.argsort(sizes, kind="stable")
    sizes = sizes[order]
    ends = np.flatnonzero(np.diff(sizes, append=UNKNOWN - 1)) + 1
    starts = ends - np.diff(ends, prepend=0)
    several = (ends - starts > 1) & (sizes[starts] != UNKNOWN)
    return [
        [names[place] for place in order[start:end]]
        for start, end in zip(starts[several].tolist(), ends[several].tolist(), strict=True)
    ]


def _parted(names: Sequence[str], videos: Mapping[str, Files], key: Callable[[Files], Hashable]) -> list[list[str]]:
    """Return the names of one group in parts of equal keys; a video whose files cannot be read is a part by itself."""
    parts: dict[Hashable, list[str]] = {}
    for name in names if len(names) > 1 else ():
        try:
            parts.setdefault(key(videos[name]), []).append(name)
        except OSError:
            parts[object()] = [name]
    return list(parts.values())


def _size(files: Files) -> int:
    """Return a number that tells the number of files and the sizes of the first and the last."""
    try:
        states = [*map(os.stat, dict.fromkeys((*files[:1], *files[-1:])))]
    except (OSError, ValueError):  # ValueError: a null byte in a path
        return UNKNOWN
    if not states or not all(stat.S_ISREG(state.st_mode) and state.st_size for state in states):
        return UNKNOWN
    return hash((len(files), *(state.st_size for state in states)))


def _inodes(files: Files) -> Hashable:
    """Return what the paths lead to."""
    return tuple((state.st_dev, state.st_ino) for state in map(os.stat, files))


def _tail(files: Files) -> Hashable:
    """Return the last bytes of the last file, which tell most videos of one size apart."""
    with files[-1].open("rb") as end:
        end.seek(max(end.seek(0, os.SEEK_END) - TAIL, 0))
        return hash(end.read())


def _ends(files: Files) -> Hashable:
    """Return the beginning of the first file and the end of the last."""
    with files[0].open("rb") as begin, files[-1].open("rb") as end:
        end.seek(max(end.seek(0, os.SEEK_END) - END, 0))
        return hashlib.sha256(begin.read(END)).digest(), hashlib.sha256(end.read()).digest()


def _all_bytes(files: Files) -> Hashable:
    """Return the hash of every file."""
    if not all(stat.S_ISREG(state.st_mode) for state in map(os.stat, files)):
        raise OSError("not a file")
    return tuple(_hash(file) for file in files)


def _hash(file: Path) -> bytes:
    """Return the hash of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()
