"""Clips of the videos that a file lists: a manifest, published annotations, paths with labels, or HMDB51's splits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from sdmetrics._reading import read_text
from sdmetrics._text import printable
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.grey_images import MEANING
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.sampling import ClipShape, Window, spread_windows
from sdmetrics.clips.videos.annotations import SUPPORTED, Annotation, read_annotations
from sdmetrics.clips.videos.cutting import cut, folder_label
from sdmetrics.clips.videos.footage import Footage, unusable, video_file
from sdmetrics.clips.videos.hmdb51 import is_hmdb51, read_hmdb51
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, as_id, files_below
from sdmetrics.clips.videos.manifest import names_columns, read_manifest
from sdmetrics.clips.videos.name_patterns import uneven
from sdmetrics.clips.videos.named import Lookup, exists, frames_in, is_folder, part_of
from sdmetrics.clips.videos.path_lists import Entry, check_alike, read_path_list
from sdmetrics.errors import InputError, note

LIST_SUFFIXES = (".csv", ".json", ".tsv", ".txt")
MISSING = "are not there and are skipped"
AGAIN = "are listed again, with the same label, and are left out"
LONGER = "name fewer frames than their folders hold; the first ones are read"
FLOW = f"have grey images of optical flow among their frames, which are read ({MEANING})"
UNREAD_FLOW = "have images of optical flow among their frames, which are not read"
UNEVEN = "are read as consecutive frames, though the numbers of their images rise in unequal steps"
OTHER_SUFFIX = "are read from a file with another suffix, or from a folder of frames"
UNEXTRACTED = "count frames of a folder, but are video files, and are skipped"
WHOLE = "are named without their times and are taken for whole videos, of which the listed segment is read"
READ = (
    "a CSV file with the column path and optionally label, start and end; lines of a path and a label; HMDB51's "
    f"CLASS_test_split1.txt; {SUPPORTED}"
)


def is_list(path: Path) -> bool:
    """Return whether a path is a list by its name, or a folder of HMDB51's lists."""
    return path.suffix.lower() in LIST_SUFFIXES if not path.is_dir() else is_hmdb51(path)


def open_list(path: Path, request: ClipRequest, shape: ClipShape, *, reads_flow: bool = False) -> list[Clip]:
    """Return the clips that a list names; grey images of flow among frames are their flow if flow is read.

    Raises
    ------
    InputError
        If the list is wrong, its folder of videos is missing, or there is one beside a manifest; or if a split is
        requested of a list that has none.
    """
    windows = spread_windows(shape, request.clips_per_video)
    listing = _ListedClips(path, shape.fit, reads_flow)
    root = path.parent if request.videos is None else Path(request.videos)
    if not is_folder(root):
        raise InputError(f"videos is {printable(root)}, which is not a folder; use the folder of the listed videos")
    if is_hmdb51(path):
        entries = read_hmdb51(path, None if request.split is None else str(request.split))
        return _entries(listing, entries, Lookup(root), windows, shape.fit)
    if request.split is not None:
        raise InputError(f"split is {printable(request.split)}, but {printable(path)} has no splits; leave split out")
    annotations = read_annotations(path)
    if annotations is not None:
        return _annotated(listing, annotations, root, windows, shape.fit)
    text, lookup = read_text(path), Lookup(root)
    if names_columns(text, lookup.has) or (path.suffix.lower() == ".csv" and not text.strip()):
        if request.videos is not None:
            raise InputError(
                f"videos is {printable(root)}, but {printable(path)} is a manifest; its paths are relative to itself"
            )
        return _manifest(path, listing, windows, shape.fit)
    entries = read_path_list(printable(path), text, lookup.has, lookup.has_folder)
    if not any(lookup.has(entry.path) for entry in entries):
        first = f" ({entries[0].where} names {entries[0].path!r})" if entries else " (it is empty)"
        raise InputError(
            f"{printable(path)} names nothing that is below {printable(root)}{first}; pass the folder of its videos "
            f"with --videos (in Python, videos) or, if it is not a list of videos, one of: {READ}"
        )
    check_alike(entries)
    return _entries(listing, entries, lookup, windows, shape.fit)


class _ListedClips:
    """The clips of a list: an entry that is listed again with the same label is left out, and counted.

    Where each was listed is kept as bytes, which for a million take a quarter of the memory of texts.
    """

    def __init__(self, path: Path, fit: Fit, reads_flow: bool) -> None:
        self.clips: list[Clip] = []
        self._path, self._fit, self._reads_flow = printable(path), fit, reads_flow
        self._labels: dict[str, str | None] = {}
        self._places = bytearray()
        self._entries = 0
        self._kinds: dict[str, int] = {}

    def add(self, where: str, clips: Sequence[Clip], kind: str = "") -> None:
        """Add the clips of one entry; entries of a `kind` are counted.

        Raises
        ------
        InputError
            If an earlier entry has the same clips with another label.
        """
        self._entries += 1
        name, label = clips[0].id, clips[0].label
        if name not in self._labels:
            self._labels[name] = label
            self._places += f"{where}\n".encode(errors="backslashreplace")
            self.clips += clips
        elif self._labels[name] == label:
            kind = AGAIN
        else:
            first = self._places.splitlines()[[*self._labels].index(name)].decode().rstrip(",")
            raise InputError(
                f"{where} lists {printable(name)} again with the label {label!r}, after {first} with "
                f"{self._labels[name]!r}; remove one"
            )
        if kind:
            self._count(kind)

    def frames(self, video: Footage) -> Footage:
        """Return the frames of a folder, with the flow among them if flow is read."""
        if uneven(video.images):
            self._count(UNEVEN)
        if video.beside is None:
            return video
        self._count(FLOW if self._reads_flow else UNREAD_FLOW)
        return video.with_images(video.beside) if self._reads_flow else video

    def _count(self, kind: str) -> None:
        """Count an entry of a kind."""
        self._kinds[kind] = self._kinds.get(kind, 0) + 1

    def done(self) -> list[Clip]:
        """Return the clips, and say what was counted."""
        for kind, count in self._kinds.items():
            note(f"{self._path}: {count} of {self._entries} entries {kind}")
        return self.clips


def _manifest(path: Path, listing: _ListedClips, windows: Sequence[Window], fit: Fit) -> list[Clip]:
    """Return the clips that a manifest lists."""
    root = path.parent
    labels: dict[str, str] = {}
    for row in read_manifest(path):
        place = root / row.path
        segments = _segments(windows, row.start, row.end)
        kind = ""
        if not exists(place):
            video, kind = unusable(f"{printable(place)} does not exist; add it or correct the manifest"), MISSING
        elif is_folder(place):
            frames = frames_in(place, fit)
            if row.start is not None or row.end is not None or frames is None:
                raise InputError(
                    f"{row.where} names the folder {printable(row.path)}; allowed: a video, or a folder of frames "
                    f"({' '.join(IMAGE_SUFFIXES)}) without start and end"
                )
            video = listing.frames(frames)
        else:
            video = video_file(root, row.path, fit)
        name = as_id(Path(row.path))
        # A million names and labels are kept once each.
        label = None if row.label is None else labels.setdefault(row.label, row.label)
        listing.add(row.where, cut(video, row.path if name == row.path else name, segments, label), kind)
    return listing.done()


def _segments(windows: Sequence[Window], start: float | None, end: float | None) -> Sequence[Window]:
    """Return the windows of a segment; all whole videos share theirs."""
    if start is None and end is None:
        return windows
    return [replace(window, start=start, end=end) for window in windows]


def _entries(
    listing: _ListedClips, entries: Sequence[Entry], lookup: Lookup, windows: Sequence[Window], fit: Fit
) -> list[Clip]:
    """Return the clips of paths with labels; a path without a label is labelled by its folders."""
    for entry in entries:
        found, name = lookup.found(entry.path), as_id(Path(entry.path))
        first, frames = entry.first or 0, entry.frames
        segment = "" if entry.first is None else f"@{first}-{first + (frames or 0)}f"
        kind = OTHER_SUFFIX if len(found) == 1 and found[0] != lookup.root / entry.path else ""
        if not found:
            missing = f"{printable(name)} is not below {printable(lookup.root)}; add it or correct the list"
            video, kind = unusable(missing), MISSING
        elif len(found) > 1:
            places = f"{printable(found[0])} or {printable(found[1])}"
            video = unusable(f"{printable(name)} could be {places}; keep one of them")
        elif is_folder(found[0]):
            video = whole = frames_in(found[0], fit) or unusable(_without_frames(found[0]))
            if frames is not None:
                video = part_of(whole, first, frames, fit)
                longer = entry.first is None and len(whole.images) > frames
                kind = kind or (LONGER if longer else "")
            video = listing.frames(video)
        elif frames is not None:
            video, kind = unusable(_unextracted(found[0], frames)), UNEXTRACTED
        else:
            video = video_file(lookup.root, str(found[0].relative_to(lookup.root)), fit)
        label = entry.label if entry.label is not None else folder_label(name)
        clips = cut(video, name + segment, windows, label)
        listing.add(entry.where, [replace(clip, video=name) for clip in clips] if segment else clips, kind)
    return listing.done()


def _without_frames(folder: Path) -> str:
    """Return what is wrong with a folder without images."""
    suffixes = " ".join(IMAGE_SUFFIXES)
    return f"{printable(folder)} holds no frames ({suffixes}); add them, or name a folder that does"


def _unextracted(file: Path, frames: int) -> str:
    """Return what is wrong with a video file of which a list counts the frames."""
    return (
        f"{printable(file)} is a video file, and the list counts {frames} frames of a folder; extract its frames to a "
        "folder of the listed name, or list the file with its label only"
    )


def _annotated(
    listing: _ListedClips,
    annotations: Sequence[Annotation],
    root: Path,
    windows: Sequence[Window],
    fit: Fit,
) -> list[Clip]:
    """Return the clips of annotated videos; a video that is not below the folder raises an error when it is read."""
    files: dict[str, list[Path]] = {}
    for file in files_below(root):
        if file.suffix.lower() in VIDEO_SUFFIXES:
            files.setdefault(file.stem, []).append(file)
    for annotation in annotations:
        source = next((source for source in annotation.sources if source.stem in files), None)
        candidates = sorted(files[source.stem]) if source else []
        kind = "" if source is None or source.start == annotation.sources[0].start else WHOLE
        source = source or annotation.sources[0]
        name = candidates[0].relative_to(root) if candidates else Path(source.name)
        if not candidates:
            looked_for = " or ".join(printable(source.name) for source in annotation.sources)
            missing = f"{looked_for} is not below {printable(root)}; add the video or use another folder of videos"
            video, kind = unusable(missing), MISSING
        elif len(candidates) > 1:
            places = f"{printable(candidates[0])} or {printable(candidates[1])}"
            video = unusable(f"{printable(source.name)} could be {places}; keep one of them below {printable(root)}")
        else:
            video = video_file(root, str(candidates[0].relative_to(root)), fit)
        segments = _segments(windows, source.start, source.end)
        listing.add(annotation.where, cut(video, as_id(name), segments, annotation.label), kind)
    return listing.done()
