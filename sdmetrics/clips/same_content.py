"""Videos that are listed twice: under two names, by links or as copies."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path

END = 64 * 1024
"""Bytes at either end of a video that are compared before all of it is read."""

Files = Sequence[Path]


def first_of_same_content(videos: Mapping[str, Files]) -> dict[str, str]:
    """Return for every video the first name, in alphabetical order, of a video with the same content.

    The ends of files of equal size are compared; where these are equal, too, links to one file need no more, and all
    bytes of others are compared, so that hardly anything but copies is read. What cannot be read is itself.

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
    alike = [sorted(videos)]
    for key, proves in ((_sizes, False), (_ends, False), (_inodes, True), (_all_bytes, True)):
        parted = [part for group in alike for part in _parted(group, videos, key)]
        if not proves:
            alike = [part for part in parted if len(part) > 1]
            continue
        for part in parted:
            first |= dict.fromkeys(part[1:], part[0])
        alike = [[name for name in group if first[name] == name] for group in alike]
    return first


def _parted(names: Sequence[str], videos: Mapping[str, Files], key: Callable[[Files], Hashable]) -> list[list[str]]:
    """Return the names of one group in parts of equal keys; a video whose files cannot be read is a part by itself."""
    parts: dict[Hashable, list[str]] = {}
    for name in names if len(names) > 1 else ():
        try:
            parts.setdefault(key(videos[name]), []).append(name)
        except (OSError, ValueError):  # ValueError: a null byte in a path
            parts[object()] = [name]
    return list(parts.values())


def _sizes(files: Files) -> Hashable:
    """Return the number of files and the sizes of the first and the last."""
    states = [file.stat() for file in dict.fromkeys((*files[:1], *files[-1:]))]
    if not states or not all(stat.S_ISREG(state.st_mode) and state.st_size for state in states):
        raise OSError("nothing to compare")
    return len(files), *(state.st_size for state in states)


def _inodes(files: Files) -> Hashable:
    """Return what the paths lead to."""
    return tuple((state.st_dev, state.st_ino) for state in map(os.stat, files))


def _ends(files: Files) -> Hashable:
    """Return the beginning of the first file and the end of the last."""
    with files[0].open("rb") as begin, files[-1].open("rb") as end:
        end.seek(max(files[-1].stat().st_size - END, 0))
        return hashlib.sha256(begin.read(END)).digest(), hashlib.sha256(end.read()).digest()


def _all_bytes(files: Files) -> Hashable:
    """Return the hash of every file."""
    if not all(stat.S_ISREG(file.stat().st_mode) for file in files):
        raise OSError("not a file")
    return tuple(_hash(file) for file in files)


def _hash(file: Path) -> bytes:
    """Return the hash of a file."""
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").digest()
