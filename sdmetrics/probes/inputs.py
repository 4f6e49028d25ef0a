"""ModelInput: one input of a video model, and how it is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from sdmetrics.errors import InputError
from sdmetrics.metrics._arguments import whole
from sdmetrics.probes.layouts import ALLOWED, axes_of

SOURCES: Mapping[str, int] = {"rgb": 3, "flow": 3, "flow_vectors": 2}
"""What a model input can be fed from, and the number of channels: frames; optical flow as a colour-coded image; optical
flow as vectors, in pixels right and down per frame."""

FLOWS = ("flow", "flow_vectors")
"""The sources that show motion in a single frame."""

COLOURS = ("rgb", "bgr")
"""The orders in which a model can read the channels of images."""

SAMPLINGS = ("window", "spread")
"""How the frames of a clip are chosen: some frames apart, or spread over the whole video."""

LARGEST_SIDE, LARGEST_RATE = 4096, 1000
"""Bounds of what frames are scaled to, in pixels, and of the frames per second that they are resampled to."""

LARGEST = float(np.finfo(np.float32).max)
"""Largest number that frames are scaled by: they are float32."""

LATER = {"colours": "rgb", "limit": None, "resize": None, "sampling": "window", "fps": None}
"""Fields that older files do not have, and what they mean there."""


@dataclass(frozen=True)
class ModelInput:
    """One input of a video model and how it is fed from a clip.

    All inputs of a model agree in `size`, `resize`, `sampling` and `fps`.

    Parameters
    ----------
    name
        The input's name in the model.
    source
        What the input is fed from: a clip's frames, `"rgb"`; its optical flow as an image that codes direction by hue
        and magnitude by saturation, `"flow"`; or its optical flow as two channels, `"flow_vectors"`.
    frames, stride
        Number of frames that the model reads, and the distance between them in the video.
    size
        `(height, width)` in pixels: the centre of the scaled frames that the model reads.
    layout
        The order of the model's axes: `N`, `C`, `T`, `H`, `W` in any order, without `T` for a single frame, without `N`
        for a model that reads one clip, `1` for an axis of one. Commas separate axes that join several, outermost
        first: `"NT,C,H,W"` if the frames of all clips are one batch, `"N,TC,H,W"` if frames are stacked as channels.
    mean, std
        Mean and standard deviation per channel, in the model's order of channels, for values scaled to 0–1: the model
        reads `(frames / 255 - mean) / std`. Default: 0.45 and 0.225. For flow vectors there are two channels, and the
        default is 0 and 1.
    colours
        The order of the channels that the model reads, `"rgb"` or `"bgr"`.
    limit
        For flow vectors, in pixels: the model reads vectors that are clipped to ± this number and divided by it, from
        -1 to 1, before `mean` and `std`. Default: pixels.
    resize
        What frames are scaled to before the centre is cropped: the shorter side in pixels, or `(height, width)`.
        Default: what just covers `size`.
    sampling
        `"window"`: a stretch of `frames * stride` frames; `"spread"`: a frame from the middle of each of `frames` equal
        parts of the whole video, whatever the stride.
    fps
        Frames per second to which a video is resampled, by its time stamps, before `stride` counts. Default: the
        video's own frames.

    Examples
    --------
    >>> ModelInput("video", frames=8, stride=8, size=(224, 224)).layout
    'NCTHW'
    >>> ModelInput("flow", "flow_vectors", limit=20).std
    (1.0, 1.0)
    """

    name: str
    source: str = "rgb"
    frames: int = 8
    stride: int = 8
    size: tuple[int, int] = (224, 224)
    layout: str = "NCTHW"
    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    colours: str = "rgb"
    limit: float | None = None
    resize: int | tuple[int, int] | None = None
    sampling: str = "window"
    fps: float | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.source, str) or self.source not in SOURCES:
            raise InputError(
                f"input {self.name!r} has the source {self.source!r}; expected one of {', '.join(SOURCES)}"
            )
        try:
            letters = "".join(axes_of(self.layout))
        except (ValueError, TypeError):
            raise InputError(f"input {self.name!r} has the layout {self.layout!r}; expected {ALLOWED}") from None
        for field in ("frames", "stride"):
            object.__setattr__(self, field, whole(f"{field} of input {self.name!r}", getattr(self, field), least=1))
        if len(numbers_in(self.size) or ()) != len("HW"):
            raise InputError(f"input {self.name!r} has the size {self.size!r:.60}; expected (height, width) in pixels")
        sides = tuple(whole(f"size of input {self.name!r}", side, least=1) for side in self.size)
        object.__setattr__(self, "size", sides)
        if "T" not in letters and self.frames != 1:
            raise InputError(
                f"input {self.name!r} has the layout {self.layout!r}, which has no time axis, and {self.frames} "
                "frames; pass frames=1 or a layout with T"
            )
        self._check_values()
        self._check_frames()

    def _check_values(self) -> None:
        """Fill in what the source implies, and check how values are scaled."""
        for field, usual in zip(("mean", "std"), usual_scale(self.source), strict=True):
            numbers = numbers_in(getattr(self, field))
            given = usual if numbers == () else numbers
            if given is None or len(given) != self.channels:
                raise InputError(
                    f"input {self.name!r} has the {field} {getattr(self, field)!r:.60}; expected {self.channels} "
                    f"numbers, one per channel of {self.source}"
                )
            if not all(abs(number) <= LARGEST for number in given):
                raise InputError(f"input {self.name!r} has the {field} {given}; expected finite numbers")
            # 0 and 0.0 feed the same and would count as different settings.
            object.__setattr__(self, field, tuple(map(float, given)))
        if min(self.std) <= 0:
            raise InputError(f"input {self.name!r} has the std {self.std}; each must be above 0")
        vectors = self.source == "flow_vectors"
        if self.colours not in COLOURS or (vectors and self.colours != "rgb"):
            allowed = "flow vectors have no colours" if vectors else f"allowed: {', '.join(COLOURS)}"
            raise InputError(f"input {self.name!r} has colours {self.colours!r}; {allowed}")
        number = numbers_in([self.limit]) is not None
        if self.limit is not None and not (vectors and number and 0 < self.limit <= LARGEST):
            raise InputError(
                f"input {self.name!r} has the limit {self.limit!r:.60} and the source {self.source}; a limit is a "
                "number of pixels above 0, for flow_vectors"
            )

    def _check_frames(self) -> None:
        """Check how frames are scaled and chosen."""
        if self.resize is not None:
            sides = tuple(self.resize) if isinstance(self.resize, Sequence) else (self.resize, self.resize)
            two = len(sides) == 2 and all(isinstance(side, int) and not isinstance(side, bool) for side in sides)
            least = self.size if isinstance(self.resize, Sequence) else (max(self.size),) * 2
            if not two or sides[0] < least[0] or sides[1] < least[1] or max(sides) > LARGEST_SIDE:
                raise InputError(
                    f"input {self.name!r} has resize {self.resize!r} and size {self.size}; expected the shorter side, "
                    f"a whole number of pixels from {max(self.size)}, or a height from {self.size[0]} and a width "
                    f"from {self.size[1]}, each at most {LARGEST_SIDE}"
                )
            if isinstance(self.resize, Sequence):
                object.__setattr__(self, "resize", sides)
        check_sampling(self.sampling, self.fps, f"input {self.name!r} has")
        object.__setattr__(self, "fps", None if self.fps is None else float(self.fps))

    @property
    def channels(self) -> int:
        """Number of channels that the input reads."""
        return SOURCES[self.source]

    def document(self) -> dict[str, Any]:
        """Return the fields, without those that older files do not have where they mean the same."""
        return {name: value for name, value in asdict(self).items() if name not in LATER or value != LATER[name]}


def check_sampling(sampling: str, fps: float | None, whose: str) -> None:
    """Raise an `InputError` unless frames can be chosen so; `whose` begins the message.

    Examples
    --------
    >>> check_sampling("window", 0, "input 'video' has")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: input 'video' has fps 0; expected frames per second, a number above 0 and up to 1000
    """
    if sampling not in SAMPLINGS:
        raise InputError(f"{whose} sampling {sampling!r}; allowed: {', '.join(SAMPLINGS)}")
    if fps is None:
        return
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps <= LARGEST_RATE:
        raise InputError(f"{whose} fps {fps!r}; expected frames per second, a number above 0 and up to {LARGEST_RATE}")
    if sampling == "spread":
        raise InputError(
            f"{whose} fps {fps} and sampling 'spread', which takes frames from the whole video whatever their rate; "
            "leave fps out"
        )


def numbers_in(value: object) -> tuple[float, ...] | None:
    """Return the numbers of a sequence or an array, or None if it is something else.

    Examples
    --------
    >>> numbers_in([0.5, 1]), numbers_in(0.5), numbers_in(["0.5"])
    ((0.5, 1), None, None)
    """
    items = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(items, Sequence) or isinstance(items, str):
        return None
    numbers = [item.item() if isinstance(item, np.number) else item for item in items]
    real = all(isinstance(item, (int, float)) and not isinstance(item, bool) for item in numbers)
    return tuple(numbers) if real else None


def check_agreement(inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` unless all inputs read the frames of one clip: scaled, cropped and chosen in one way.

    Examples
    --------
    >>> check_agreement([ModelInput("slow"), ModelInput("fast", resize=256)])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: model inputs 'slow' and 'fast' have resize None and 256; all inputs read the frames \
of one clip, so pass one resize for all
    """
    for item in inputs:
        if item.size != inputs[0].size:
            raise InputError(
                f"model inputs {inputs[0].name!r} and {item.name!r} read a clip in sizes {inputs[0].size} and "
                f"{item.size}; a clip has one size"
            )
        for field in ("resize", "sampling", "fps"):
            first, other = getattr(inputs[0], field), getattr(item, field)
            if first != other:
                raise InputError(
                    f"model inputs {inputs[0].name!r} and {item.name!r} have {field} {first!r} and {other!r}; all "
                    f"inputs read the frames of one clip, so pass one {field} for all"
                )


def cut_in_words(item: ModelInput) -> str:
    """Return in words how frames are scaled and chosen, where it is not only by size and stride.

    Examples
    --------
    >>> cut_in_words(ModelInput("video", resize=256, fps=30))
    'short side 256, 30 frames per second'
    """
    scaled = f"scaled to {item.resize[0]} × {item.resize[1]}" if isinstance(item.resize, tuple) else ""
    return ", ".join(
        filter(
            None,
            [
                f"short side {item.resize}" if isinstance(item.resize, int) else scaled,
                "spread over the video" if item.sampling == "spread" else "",
                f"{item.fps:g} frames per second" if item.fps is not None else "",
            ],
        )
    )


def usual_scale(source: str) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and deviation of an input for which none are known.

    Examples
    --------
    >>> usual_scale("flow_vectors")
    ((0.0, 0.0), (1.0, 1.0))
    """
    return ((0.0, 0.0), (1.0, 1.0)) if source == "flow_vectors" else ((0.45,) * 3, (0.225,) * 3)


def reads_flow(inputs: Sequence[ModelInput]) -> bool:
    """Return whether a model with these inputs reads optical flow.

    Examples
    --------
    >>> reads_flow([ModelInput("image", frames=1, layout="NCHW"), ModelInput("flow", "flow", frames=1, layout="NCHW")])
    True
    """
    return any(item.source in FLOWS for item in inputs)


def to_shuffle(inputs: Sequence[ModelInput]) -> list[ModelInput]:
    """Return the inputs whose frames are shuffled to change the motion.

    Examples
    --------
    >>> [item.name for item in to_shuffle([ModelInput("video"), ModelInput("flow", "flow")])]
    ['video']
    """
    if not reads_flow(inputs):
        return list(inputs)
    return [item for item in inputs if item.source not in FLOWS and item.frames > 1]
