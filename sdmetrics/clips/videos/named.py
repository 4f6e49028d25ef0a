"""Videos that a list names: where they are, whatever their suffix, and the frames of a folder."""

from __future__ import annotations

import os
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.grey_images import FlowImages
from sdmetrics.clips.videos.footage import Footage, frame_folder, unusable
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, in_order
from sdmetrics.clips.videos.name_patterns import told_apart


class Lookup:
    """Finds videos and folders of frames by their paths relative to a folder.

    Lists keep the names of the published files; videos that were converted have another suffix, and frames that were
    extracted are a folder without suffix.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._folders: dict[Path, dict[str, list[Path]]] = {}
        self._found: dict[str, list[Path]] = {}

    def found(self, name: str) -> list[Path]:
        """Return the file or folder of a name; else all of that name but for a video's suffix."""
        if name not in self._found:
            exact = self.root / name
            stem = exact.stem if exact.suffix.lower() in VIDEO_SUFFIXES else exact.name
            self._found[name] = [exact] if exists(exact) else self._listed(exact.parent).get(stem, [])
        return self._found[name]

    def has(self, name: str) -> bool:
        """Return whether there is a file or folder of a name."""
        return bool(self.found(name))

    def has_folder(self, name: str) -> bool:
        """Return whether there is a folder of a name."""
        return any(map(is_folder, self.found(name)))

    def _listed(self, folder: Path) -> dict[str, list[Path]]:
        """Return the videos and folders in a folder by their names without suffix."""
        if folder not in self._folders:
            names: dict[str, list[Path]] = {}
            try:
                inside = sorted(folder.iterdir())
            except (OSError, ValueError):  # ValueError: a null byte in the name
                inside = []
            for path in inside:
                if path.suffix.lower() in VIDEO_SUFFIXES:
                    names.setdefault(path.stem, []).append(path)
                elif is_folder(path):
                    names.setdefault(path.name, []).append(path)
            self._folders[folder] = names
        return self._folders[folder]


def exists(path: Path) -> bool:
    """Return whether there is anything at a path, which may be any text of a list."""
    return os.path.exists(path)  # noqa: PTH110  (Path.exists raises an error for names that are too long)


def is_folder(path: Path) -> bool:
    """Return whether there is a folder at a path, which may be any text."""
    return os.path.isdir(path)  # noqa: PTH112  (as above, and for paths that permissions hide)


def frames_in(folder: Path, fit: Fit) -> Footage | None:
    """Return the frames in a folder as a video, or None if it holds no images.

    If the folder cannot be listed or its frames are not known, reading the video raises an `InputError`.
    """
    try:
        files = [file for file in folder.iterdir() if not file.name.startswith(".")]
    except OSError as error:
        return unusable(f"{printable(folder)} cannot be listed ({error.strerror}); correct its permissions")
    images = sorted((file for file in files if file.suffix.lower() in IMAGE_SUFFIXES), key=in_order)
    if not images:
        return None
    found = told_apart(folder, images)
    flow = FlowImages.of(found.x, found.y) if found.x else None
    return unusable(found.problem) if found.problem else frame_folder(found.frames, fit, flow)


def part_of(video: Footage, first: int, count: int, fit: Fit) -> Footage:
    """Return `count` frames of a folder after the `first` ones; if there are fewer, reading it is an `InputError`."""
    images = video.images[first : first + count]
    if video.problem or (images and len(images) == count):
        return video if video.problem else frame_folder(images, fit, video.beside)
    return unusable(
        f"{printable(video.images[0].parent)} has {len(video.images)} frames, and the list counts {count} after the "
        f"first {first}; extract them again or correct the list"
    )
