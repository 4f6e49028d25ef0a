"""ModelInput: one input of a video model, and how it is fed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from typing import Any

from sdmetrics.errors import InputError
from sdmetrics.probes.layouts import ALLOWED, axes_of

SOURCES: Mapping[str, int] = {"rgb": 3, "flow": 3, "flow_vectors": 2}
"""What a model input can be fed from, and the number of channels: frames; optical flow as a colour-coded image; optical
flow as vectors, in pixels right and down per frame."""

FLOWS = ("flow", "flow_vectors")
"""The sources that show motion in a single frame."""

COLOURS = ("rgb", "bgr")
"""The orders in which a model can read the channels of images."""

LATER = {"colours": "rgb", "limit": None}
"""Fields that older files do not have, and what they mean there."""


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

    def __post_init__(self) -> None:
        if self.source not in SOURCES:
            raise InputError(
                f"input {self.name!r} has the source {self.source!r}; expected one of {', '.join(SOURCES)}"
            )
        try:
            letters = "".join(axes_of(self.layout))
        except (ValueError, TypeError):
            raise InputError(f"input {self.name!r} has the layout {self.layout!r}; expected {ALLOWED}") from None
        if self.frames < 1 or self.stride < 1 or min(self.size) < 1:
            raise InputError(
                f"input {self.name!r} has {self.frames} frames, stride {self.stride}, size {self.size}; "
                "each must be at least 1"
            )
        if "T" not in letters and self.frames != 1:
            raise InputError(
                f"input {self.name!r} has the layout {self.layout!r}, which has no time axis, and {self.frames} "
                "frames; pass frames=1 or a layout with T"
            )
        self._check_values()

    def _check_values(self) -> None:
        """Fill in what the source implies, and check how values are scaled."""
        for field, usual in zip(("mean", "std"), usual_scale(self.source), strict=True):
            given = tuple(getattr(self, field)) or usual
            object.__setattr__(self, field, given)
            if len(given) != self.channels:
                raise InputError(
                    f"input {self.name!r} has the {field} {given}; expected {self.channels} numbers, one per channel "
                    f"of {self.source}"
                )
            if not all(map(isfinite, given)):
                raise InputError(f"input {self.name!r} has the {field} {given}; expected finite numbers")
        if min(self.std) <= 0:
            raise InputError(f"input {self.name!r} has the std {self.std}; each must be above 0")
        vectors = self.source == "flow_vectors"
        if self.colours not in COLOURS or (vectors and self.colours != "rgb"):
            allowed = "flow vectors have no colours" if vectors else f"allowed: {', '.join(COLOURS)}"
            raise InputError(f"input {self.name!r} has colours {self.colours!r}; {allowed}")
        if self.limit is not None and not (vectors and 0 < self.limit < float("inf")):
            raise InputError(
                f"input {self.name!r} has the limit {self.limit} and the source {self.source}; a limit is a number of "
                "pixels above 0, for flow_vectors"
            )

    @property
    def channels(self) -> int:
        """Number of channels that the input reads."""
        return SOURCES[self.source]

    def document(self) -> dict[str, Any]:
        """Return the fields, without those that older files do not have where they mean the same."""
        return {name: value for name, value in asdict(self).items() if name not in LATER or value != LATER[name]}


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
