"""ModelInput: one input of a video model, and how it is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sdmetrics.errors import InputError

SOURCES: Mapping[str, int] = {"rgb": 3, "flow": 3, "flow_vectors": 2}
"""What a model input can be fed from, and the number of channels: frames; optical flow as a colour-coded image; optical
flow as vectors, in pixels right and down per frame."""

FLOWS = ("flow", "flow_vectors")
"""The sources that show motion in a single frame."""


@dataclass(frozen=True)
class ModelInput:
    """One input of a video model and how it is fed from a clip.

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
        `(height, width)` in pixels.
    layout
        The order of the model's axes: a permutation of `N`, `C`, `T`, `H`, `W`, without `T` for a single frame.
    mean, std
        Mean and standard deviation per RGB channel, for values scaled to 0–1: the model reads
        `(frames / 255 - mean) / std`. Flow vectors are passed unchanged.

    Examples
    --------
    >>> ModelInput("video", frames=8, stride=8, size=(224, 224)).layout
    'NCTHW'
    """

    name: str
    source: str = "rgb"
    frames: int = 8
    stride: int = 8
    size: tuple[int, int] = (224, 224)
    layout: str = "NCTHW"
    mean: tuple[float, float, float] = (0.45, 0.45, 0.45)
    std: tuple[float, float, float] = (0.225, 0.225, 0.225)

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(
                f"input {self.name!r} has the source {self.source!r}; expected one of {', '.join(SOURCES)}"
            )
        if sorted(self.layout) not in (sorted("NCTHW"), sorted("NCHW")) or self.layout[0] != "N":
            raise InputError(
                f"input {self.name!r} has the layout {self.layout!r}; expected N first, then C, T, H and W in any "
                "order (NCTHW, NTCHW, NTHWC, …), or without T (NCHW, NHWC) for single frames"
            )
        if self.frames < 1 or self.stride < 1 or min(self.size) < 1:
            raise InputError(
                f"input {self.name!r} has {self.frames} frames, stride {self.stride}, size {self.size}; "
                "each must be at least 1"
            )
        if min(self.std) <= 0:
            raise InputError(f"input {self.name!r} has the std {self.std}; each must be above 0")
        if "T" not in self.layout and self.frames != 1:
            raise InputError(
                f"input {self.name!r} has the layout {self.layout!r}, which has no time axis, and {self.frames} "
                "frames; pass frames=1 or a layout with T"
            )

    @property
    def channels(self) -> int:
        """Number of channels that the input reads."""
        return SOURCES[self.source]


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
