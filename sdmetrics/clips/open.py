"""list_clips(): the clips of whatever a request names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from sdmetrics._reading import regular_file
from sdmetrics._text import printable
from sdmetrics.clips.clip import Clip
from sdmetrics.clips.fit import Fit
from sdmetrics.clips.flow.cache import cached
from sdmetrics.clips.flow.estimate import estimator
from sdmetrics.clips.generated.names import is_generated, open_generated
from sdmetrics.clips.request import ClipRequest
from sdmetrics.clips.same_content import first_of_same_content
from sdmetrics.clips.sampling import ClipShape
from sdmetrics.clips.segmentation.datasets import open_segmentation
from sdmetrics.clips.videos.datasets import open_folder, open_video
from sdmetrics.clips.videos.listed import is_list, open_list
from sdmetrics.clips.videos.named import exists
from sdmetrics.errors import InputError, note


def list_clips(
    request: ClipRequest, shape: ClipShape, cache: Path | None = None, *, reads_flow: bool = False
) -> list[Clip]:
    """List the clips of a data set; nothing is decoded until a clip's frames are asked for.

    Parameters
    ----------
    request
        Which clips.
    shape
        How many frames, how they are chosen, scaled and cropped.
    cache
        A folder to store estimated flow in.
    reads_flow
        Whether flow is read at all: what lies beside the frames of a folder is used as flow only then.

    Returns
    -------
    list of Clip
        Sorted by path, or in the order of the manifest or the annotations. A clip's id is its video's path relative to
        the data set, then `@start-end` for a segment and `#k` for one of several clips.

    Raises
    ------
    InputError
        If nothing is found, the request asks for what the data set does not have, or the manifest or an annotation is
        wrong. A clip that cannot be read raises it when it is loaded.

    Examples
    --------
    >>> list_clips(ClipRequest("holiday.mp4"), ClipShape(frames=8, stride=8, size=(224, 224)))
    Traceback (most recent call last):
    sdmetrics.errors.InputError: holiday.mp4 does not exist; expected a video, a folder, a list (CSV, text or \
JSON), or generated clips (world:N or camouflage:N)
    """
    return _one_group_per_content(_listed(request, shape, cache, reads_flow))


def _listed(request: ClipRequest, shape: ClipShape, cache: Path | None, reads_flow: bool) -> list[Clip]:
    """Return the clips as they are listed."""
    path = Path(request.path)
    generated = is_generated(request.path)
    if not generated and not exists(path):
        raise InputError(
            f"{printable(path)} does not exist; expected a video, a folder, a list (CSV, text or JSON), or generated "
            "clips (world:N or camouflage:N)"
        )
    if request.videos is not None and not generated and not is_list(path):
        raise InputError(
            f"videos is {printable(request.videos)}, but {printable(path)} is not a file of annotations; leave videos "
            "out"
        )
    _check_choice(request, shape, generated)
    if not generated:
        if not path.is_dir() and is_list(path):
            regular_file(path)
        with_masks = open_segmentation(request, shape, cache)
        if with_masks is not None:
            return with_masks
    _check_without_masks(request)
    if generated:
        return open_generated(str(request.path), shape.frames, shape.size, request.clips_per_video or 1, request.videos)
    if is_list(path):
        clips = open_list(path, request, shape, reads_flow=reads_flow)
    elif path.is_dir():
        clips = open_folder(path, request, shape, reads_flow=reads_flow)
    else:
        clips = open_video(path, request, shape)
    if cache is None or request.flow is not None:
        return clips
    return [_with_cached_flow(clip, cache, shape.fit) for clip in clips]


class _Files(Mapping[str, Sequence[Path]]):
    """The files of videos by name; their paths are made when they are asked for, since there may be a million."""

    def __init__(self, clips: dict[str, Clip]) -> None:
        self._clips = clips

    def __getitem__(self, video: str) -> Sequence[Path]:
        return self._clips[video].files

    def __iter__(self) -> Iterator[str]:
        return iter(self._clips)

    def __len__(self) -> int:
        return len(self._clips)


def _one_group_per_content(clips: list[Clip]) -> list[Clip]:
    """Return clips of which those of one content are in one group of the jackknife, that of the first video by name."""
    first = first_of_same_content(_Files({clip.video: clip for clip in clips if clip.files}))
    again = [(name, other) for name, other in first.items() if name != other]
    if again:
        note(
            f"{len(again)} of {len(first)} videos have the content of another, e.g. {printable(again[0][0])} that of "
            f"{printable(again[0][1])}; they count as one video for the intervals"
        )
    same = dict(again)
    return [replace(clip, same_as=same[clip.video]) if clip.video in same else clip for clip in clips]


def _check_choice(request: ClipRequest, shape: ClipShape, generated: bool) -> None:
    """Raise an `InputError` where it is given how frames are chosen and that would change nothing."""
    given = {name: getattr(request, name) for name in ("stride", "fps", "sampling")}
    why: dict[str, str] = {}
    if generated:
        spans = f"{printable(request.path)} is generated, and its frames span each clip whatever the"
        why = {name: f"{spans} {name}" for name in given}
    elif shape.frames == 1:
        why = dict.fromkeys(("stride", "fps"), "single frames are read, which have no distance")
    elif shape.sampling == "spread":
        why = {"stride": "frames are read from the whole video whatever the stride"}
    for name, reason in why.items():
        if given[name] is not None:
            raise InputError(f"{name} is {given[name]}, but {reason}; leave {name} out")


def _check_without_masks(request: ClipRequest) -> None:
    """Raise an `InputError` where clips without masks are asked for what only others have."""
    path, flow = request.path, request.flow
    if request.split is not None and not is_list(Path(path)):
        raise InputError(
            f"split is {printable(request.split)}, but {printable(path)} is not a data set with masks; leave split out"
        )
    if flow is not None and (is_generated(path) or is_list(Path(path)) or not Path(path).is_dir()):
        raise InputError(f"flow is {printable(flow)}, but {printable(path)} is not a folder of frames; leave flow out")


def _with_cached_flow(clip: Clip, folder: Path, fit: Fit) -> Clip:
    """Return a clip whose flow is estimated once."""
    if clip.load_flow is None:
        return clip
    return replace(clip, load_flow=cached(clip.load_flow, folder, clip.id, clip.stamp, str(fit), estimator()))
