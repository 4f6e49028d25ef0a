"""Which images of an annotated video the clips show, and in which of them each annotated image is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from sdmetrics.clips.sampling import ClipShape, Window, spread_windows


@dataclass(frozen=True)
class Stretch:
    """The images that one clip shows.

    Parameters
    ----------
    images
        Their indices in the video. One may occur twice: a video that is too short for a clip is repeated.
    scored
        The places in `images` of the annotated images that are scored in this clip: each in exactly one place of one
        clip, however often it is shown.
    ends
        Those of them that hold the video's first or its last annotated image.
    """

    images: tuple[int, ...] = ()
    scored: tuple[int, ...] = ()
    ends: tuple[int, ...] = ()

    @property
    def looped(self) -> bool:
        """Whether images are repeated, since the video is too short for the clip."""
        return any(later <= image for image, later in pairwise(self.images))


def annotated_stretches(
    images: int, annotated: Sequence[int], shape: ClipShape, clips_per_video: int | None
) -> list[Stretch]:
    """Return what the clips of an annotated video show.

    A clip of a single frame is an annotated image. Without `clips_per_video`, every annotated image is scored in one of
    the clips: clips of several frames follow one another, a clip whose frames are `stride` apart is followed by those
    that show the images in between, clips that are spread over the whole video take turns, and clips that show no
    further annotated image are left out. With `clips_per_video`, a clip that would show the same images as another is
    left out.

    Parameters
    ----------
    images
        How many images the video has.
    annotated
        The indices of the annotated ones, increasing.
    shape, clips_per_video
        How the clips are cut.

    Examples
    --------
    >>> [stretch.images for stretch in annotated_stretches(10, [0, 5, 9], ClipShape(1, 1, (224, 224)), None)]
    [(0,), (5,), (9,)]
    >>> for stretch in annotated_stretches(8, range(8), ClipShape(3, 2, (224, 224)), None):
    ...     print(stretch.images, stretch.scored, stretch.ends)
    (0, 2, 4) (0, 1, 2) (0,)
    (1, 3, 5) (0, 1, 2) ()
    (2, 4, 6) (2,) ()
    (3, 5, 7) (2,) (2,)
    """
    if not annotated:
        return []
    if clips_per_video is None:
        shown = [(index,) for index in annotated] if shape.frames == 1 else _covering(images, shape)
    elif shape.frames == 1:
        windows = _windows(replace(shape, stride=1), clips_per_video)
        shown = [tuple(annotated[place] for place in window.indices_of_images(len(annotated))) for window in windows]
    else:
        windows = _windows(shape, clips_per_video)
        shown = [tuple(window.indices_of_images(images).tolist()) for window in windows]
    left, ends = set(annotated), {annotated[0], annotated[-1]}
    stretches = []
    for indices in dict.fromkeys(shown):
        scored = tuple(place for place, index in enumerate(indices) if index in left and index not in indices[:place])
        if scored or clips_per_video is not None:
            left -= {indices[place] for place in scored}
            stretches.append(Stretch(indices, scored, tuple(place for place in scored if indices[place] in ends)))
    return stretches


def _windows(shape: ClipShape, clips_per_video: int) -> list[Window]:
    """Return windows that do not say what they repeat: it is counted where the clips are opened."""
    return [replace(window, said=None) for window in spread_windows(shape, clips_per_video)]


def _covering(images: int, shape: ClipShape) -> list[tuple[int, ...]]:
    """Return clips, one after the other, that together show every image of a video, the last ones reaching its end."""
    if shape.sampling == "spread":
        windows = _windows(shape, -(-images // shape.frames))
        return [tuple(window.indices_of_images(images).tolist()) for window in windows]
    length = shape.frames * shape.stride
    last = max(images - length, 0)
    steps = shape.stride * np.arange(shape.frames)
    return [
        tuple(((min(begin, last) + offset + steps) % images).tolist())
        for begin in range(0, images, length)
        for offset in range(shape.stride)
    ]
