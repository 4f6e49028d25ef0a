"""What a folder holds: videos or folders of frames, the flow beside frames, and what is neither.

Whatever is not read as a clip, or is taken for something by its name, is said in one line with its counts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sdmetrics._text import printable
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.grey_images import MEANING, FlowImages
from sdmetrics.clips.videos.animations import is_animated
from sdmetrics.clips.videos.companions import Companions, companions
from sdmetrics.clips.videos.footage import Footage, frame_folder, unusable, video_file
from sdmetrics.clips.videos.listing import IMAGE_SUFFIXES, VIDEO_SUFFIXES, as_id, files_below, in_order
from sdmetrics.clips.videos.name_patterns import Images, told_apart, uneven
from sdmetrics.errors import InputError, note

UNEVEN = "read as consecutive frames of one video a folder, though their numbers rise in unequal steps"
SHOWN = 3
"""How many names a note lists."""


def videos_below(
    root: Path, fit: Fit, *, reads_flow: bool = False, without: Sequence[Path] = ()
) -> dict[Path, Footage]:
    """Return the videos below a folder or, where there are none, its folders of frames, by relative path.

    Opening lists files and decodes nothing; of the first image of every folder the header is read.

    Parameters
    ----------
    root
        The folder. Frames directly in it are a video of its name.
    fit
        How frames are scaled and cropped.
    reads_flow
        Whether grey images of flow beside the frames are the videos' flow.
    without
        Folders that are not searched.

    Raises
    ------
    InputError
        If there is neither a video nor a folder of frames, or a folder cannot be listed.
    """
    listed = _Files.of(root, without)
    if listed.videos:
        listed.say(listed.images, f"left out (beside {counted(len(listed.videos), 'video')})")
        return {path: video_file(root, str(path), fit) for path in listed.videos}
    beside = companions(listed.images.keys())
    alone = [folder for pair in beside.alone for folder in pair]
    in_flow = {folder for pair in beside.flow.values() for folder in pair}
    frames = {
        folder: images for folder, images in listed.images.items() if folder not in in_flow.union(alone, beside.masks)
    }
    listed.say(beside.masks, "left out (taken for masks of the frames beside them)")
    listed.say(alone, "left out (taken for optical flow, without frames beside them)")
    listed.say(
        [folder for pair in beside.unclear for folder in pair],
        "read as videos (no frames beside them)",
    )
    if not frames:
        other = f" beside the flow in {printable(without[0])}" if without else ""
        raise InputError(
            f"{printable(root)} holds no video ({' '.join(VIDEO_SUFFIXES)}) and no folder of frames "
            f"({' '.join(IMAGE_SUFFIXES)}){other}; use another folder"
        )
    jumping = [folder for folder, images in frames.items() if not images.problem and uneven(images.frames)]
    listed.say(jumping, UNEVEN)
    flow = _flow(listed, frames, beside)
    found = {}
    for folder, images in frames.items():
        video = unusable(images.problem) if images.problem else frame_folder(images.frames, fit)
        found[folder] = video.with_images(flow[folder]) if reads_flow and folder in flow else video
    _say_flow(root, flow, len(frames), reads_flow)
    return _named(root, found)


@dataclass(frozen=True)
class _Files:
    """The files below a folder, by relative path: videos, the images of every folder that holds some."""

    root: Path
    videos: Sequence[Path]
    images: Mapping[Path, Images]

    @classmethod
    def of(cls, root: Path, without: Sequence[Path]) -> _Files:
        """List the files and say which are neither videos nor images."""
        videos: list[Path] = []
        others: list[Path] = []
        by_folder: dict[Path, list[Path]] = {}
        for file in files_below(root):
            path = file.relative_to(root)
            suffix = path.suffix.lower()
            if any(map(path.is_relative_to, without)):
                continue
            if suffix in IMAGE_SUFFIXES:
                by_folder.setdefault(path.parent, []).append(file)
            else:
                (videos if suffix in VIDEO_SUFFIXES else others).append(path)
        images = {}
        for folder, files in sorted(by_folder.items()):
            files.sort(key=in_order)
            animated = set(filter(is_animated, files)) if is_animated(files[0]) else set()
            videos += [file.relative_to(root) for file in animated]
            if still := [file for file in files if file not in animated]:
                images[folder] = told_apart(root / folder, still)
        if others:
            note(f"{printable(root)}: {counted(len(others), 'file')} left out (no clips): {some(sorted(others))}")
        return cls(root, sorted(videos), images)

    def say(self, folders: Collection[Path], what: str) -> None:
        """Say what becomes of the images of some folders."""
        if folders:
            count = sum(len(self.images[folder]) for folder in folders)
            where = f"{counted(count, 'image')} in {counted(len(folders), 'folder')}"
            note(f"{printable(self.root)}: {where} {what}: {some(sorted(folders))}")


def _flow(listed: _Files, frames: Mapping[Path, Images], beside: Companions) -> dict[Path, FlowImages]:
    """Return the images of flow of every folder of frames that has some, in it or in folders beside it."""
    flow = {folder: FlowImages.of(part.x, part.y) for folder, part in frames.items() if part.x}
    for folder, pair in beside.flow.items():
        flow[folder] = FlowImages.of(*(listed.images[part].frames for part in pair))
    return flow


def _say_flow(root: Path, flow: Mapping[Path, FlowImages], videos: int, reads_flow: bool) -> None:
    """Say that flow is read from images, and what their levels are taken for; or that it is not read."""
    if not flow:
        return
    first = next(iter(flow.values()))
    names = some([Path(file.name) for file in (*first.x.values(), *first.y.values())])
    count = counted(sum(len(part.x) + len(part.y) for part in flow.values()), "image")
    what = f"read ({MEANING})" if reads_flow else "not read"
    have = f"{len(flow)} of {videos} videos have optical flow in grey images ({count})"
    note(f"{printable(root)}: {have}, which is {what}: {names}")


def _named(root: Path, found: Mapping[Path, Footage]) -> dict[Path, Footage]:
    """Name the frames directly in the folder after it."""
    own = Path(root.resolve().name)
    if Path() in found and own in found:
        raise InputError(
            f"{printable(root)} holds frames and a folder {own} with frames, which would have the same name; move one"
        )
    return {own if folder == Path() else folder: video for folder, video in found.items()}


def counted(count: int, noun: str) -> str:
    """Return a number and what it counts.

    Examples
    --------
    >>> counted(1, "file"), counted(2, "file")
    ('1 file', '2 files')
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def some(paths: Sequence[Path]) -> str:
    """Name the first paths.

    Examples
    --------
    >>> some([Path("a"), Path("b"), Path("c"), Path("d")])
    'a, b, c, …'
    """
    return ", ".join([printable(as_id(path)) for path in paths[:SHOWN]] + ["…"] * (len(paths) > SHOWN))
