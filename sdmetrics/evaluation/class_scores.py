"""Class scores: which of a model's outputs scores the classes, and along which axis."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.errors import InputError, note
from sdmetrics.evaluation.labels import check_count
from sdmetrics.evaluation.outputs import only_output

WHAT = "class scores (clips, classes), (clips, classes, 1, 1, 1) or (clips, frames, classes)"


@dataclass
class ScoreReader:
    """Reads the class scores of a model from its outputs.

    Parameters
    ----------
    name
        Name of the output. Default: the only one with two axes; else the only one with two axes and axes of size 1
        after them; else the only one with three.
    classes
        The index of the output by class name, if the classes are known: there must be as many as scores. They also tell
        the axis of the classes from that of the frames.
    frames
        How many frames the model's inputs have, for models that score every frame.

    Attributes
    ----------
    read
        What was read: the name of the `output`, the number of `classes`, and over how many `frames` the mean was taken.

    Examples
    --------
    >>> reader = ScoreReader()
    >>> reader({"features": np.zeros((2, 8, 7, 7)), "logits": np.zeros((2, 5, 1, 1, 1))}, clips=2).shape
    (2, 5)
    >>> reader.read
    {'output': 'logits', 'classes': 5, 'frames': 1}
    """

    name: str | None = None
    classes: Mapping[str, int] | None = None
    frames: Collection[int] = ()
    read: dict[str, Any] = field(default_factory=dict)

    def __call__(self, outputs: Mapping[str, NDArray[Any]], clips: int) -> NDArray[Any]:
        """Return the class scores of some clips, `(clips, classes)`; those of frames are averaged, which is noted once.

        Raises
        ------
        InputError
            If there is no such output, there are several and none is named, their axes cannot be told apart, or there
            are not as many scores as classes.
        """
        arrays = {key: np.asarray(value) for key, value in outputs.items()}
        named = {key: value for key, value in arrays.items() if self.name in (None, key)}
        kinds = (_is_plain, _is_pooled, _is_per_frame)
        fits = next((kind for kind in kinds if any(kind(value.shape) for value in named.values())), _is_plain)
        scores: NDArray[Any] = only_output(arrays, self.name, fits, WHAT)
        output = next(key for key, value in arrays.items() if value is scores)
        shape: tuple[int, ...] = scores.shape
        frames = 1
        if fits is _is_per_frame:
            time = self._time_axis(output, shape)
            frames, scores = shape[time], scores.astype(np.float64).mean(axis=time)
        elif len(scores) != clips:
            frames = len(scores) // max(clips, 1)
            if frames not in self.frames or frames * clips != len(scores):
                raise InputError(
                    f"output {output!r} has the shape {shape} for {clips} clip(s); expected a row per clip, or per "
                    "frame. Export the model with a batch axis for clips"
                )
            scores = scores.reshape(clips, frames, shape[1]).astype(np.float64).mean(axis=1)
        classes = scores.shape[1]
        check_count(self.classes, classes, output)
        if not self.read:
            self.read |= {"output": output, "classes": classes, "frames": frames}
            if frames > 1:
                note(f"output {output!r} scores every frame, {shape}; the mean over {frames} frames is taken")
        return scores.reshape(len(scores), classes)

    def _time_axis(self, output: str, shape: tuple[int, ...]) -> int:
        """Return which axis of per-frame scores is that of the frames: the classes tell it, or the number of frames."""
        axes = [1, 2]
        if self.classes is not None:
            axes = [3 - axis for axis in axes if shape[axis] == len(self.classes)]
            if not axes:
                check_count(self.classes, shape[2], output)
        if len(axes) != 1:
            axes = [axis for axis in axes if shape[axis] in self.frames]
        if len(axes) == 1:
            return axes[0]
        raise InputError(
            f"output {output!r} has the shape {shape}, in which axis 1 or 2 may be that of the frames; pass the labels "
            "of all classes, or export the model with the mean over its frames"
        )


def _is_plain(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is (clips, classes)."""
    return len(shape) == 2


def _is_pooled(shape: tuple[int, ...]) -> bool:
    """Return whether a shape is (clips, classes) and axes of size 1."""
    return len(shape) > 2 and all(size == 1 for size in shape[2:])


def _is_per_frame(shape: tuple[int, ...]) -> bool:
    """Return whether a shape may be (clips, frames, classes)."""
    return len(shape) == 3
