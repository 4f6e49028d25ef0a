"""Maps: where in space and time the units of a layer respond, from what the layer holds for one view."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Places:
    """What the axes of a layer's tensor mean, besides rows and units.

    Parameters
    ----------
    grid
        How often it divides time, height and width; 1 where it does not.
    skipped
        Tokens before those of the grid, such as a class token.
    basis
        What that rests on, as a sentence; empty if the model's file says so.
    time_last
        Whether tokens are in the order of height, width and time, not of time, height and width.
    """

    grid: tuple[int, int, int]
    skipped: int = 0
    basis: str = ""
    time_last: bool = False

    def laid_out(self, tokens: NDArray[Any]) -> NDArray[Any]:
        """Return the tokens of the grid as `(time, height, width)`.

        Examples
        --------
        >>> Places((3, 1, 2), time_last=True).laid_out(np.arange(6)).tolist()
        [[[0, 3]], [[1, 4]], [[2, 5]]]
        """
        time, height, width = self.grid
        return np.moveaxis(tokens.reshape(height, width, time), 2, 0) if self.time_last else tokens.reshape(self.grid)


def places_of(shape: Sequence[int], axes: Mapping[str, Any], size: tuple[int, int]) -> Places | str:
    """Return what the axes of a tensor `(rows, units, …)` for one view mean, or why that is not known.

    Parameters
    ----------
    shape
        Of the tensor: rows are folded time, units are in the second axis.
    axes
        `channel_axis`, `batch_axis`, `time_axis` and `fold` of the layer, as in the runner's identity.
    size
        Height and width of the frames that the model reads.

    Examples
    --------
    >>> axes = {"channel_axis": 1, "batch_axis": 0, "time_axis": 2, "fold": None}
    >>> places_of((1, 64, 4, 7, 7), axes, size=(112, 112)).grid
    (4, 7, 7)
    >>> axes = {"channel_axis": 3, "batch_axis": 0, "time_axis": 1, "fold": None}
    >>> places_of((1, 768, 8, 197), axes, size=(224, 224)).grid
    (8, 14, 14)
    >>> places_of((1, 64), {"time_axis": None, "fold": None}, size=(112, 112))
    'the layer has neither time nor space: it is pooled already'
    """
    rows, rest = shape[0], list(shape[2:])
    time, basis = 1, ""
    if axes.get("fold") is not None or rows > 1:
        time = rows
    elif axes.get("time_axis") is not None:
        time = rest.pop(_place_of_time(axes))
    elif len(rest) == 3:
        time, basis = rest.pop(0), "Assumed is that the layer’s axes are time, height and width, in this order."
    timed = time > 1 or axes.get("time_axis") is not None or axes.get("fold") is not None
    if not rest:
        return Places((time, 1, 1)) if timed else "the layer has neither time nor space: it is pooled already"
    if len(rest) == 2:
        return Places((time, rest[0], rest[1]), 0, basis)
    if len(rest) == 1 and axes.get("time_axis") is not None:
        found = _grid_of(rest[0], size)
        if found:
            skipped, grid = found
            first = f"after {skipped} other" if skipped else "from the first on"
            basis = f"Assumed is that its tokens are the patches of a frame, row by row, {first}."
            return Places((time, *grid), skipped, basis)
    return f"the layer’s axes of {' × '.join(map(str, shape[2:]))} do not tell time from space"


def unit_map(tensor: NDArray[Any], unit: int, axes: Mapping[str, Any], places: Places) -> NDArray[np.float32]:
    """Return where a unit responds to one view, float32 `(time, height, width)`, from the layer's `(rows, units, …)`.

    Its mean is the unit's response, except where tokens are skipped.

    Examples
    --------
    >>> tensor = np.arange(8, dtype=np.float32).reshape(1, 2, 2, 2)
    >>> unit_map(tensor, 1, {"time_axis": None, "fold": None}, Places((1, 2, 2))).tolist()
    [[[4.0, 5.0], [6.0, 7.0]]]
    """
    values = tensor[:, unit]
    if axes.get("time_axis") is not None and len(values) == 1:
        values = np.moveaxis(values, 1 + _place_of_time(axes), 1)
    if values.ndim == 2:
        return np.ascontiguousarray(places.laid_out(values[:, places.skipped :]), np.float32)
    flat = values.reshape(places.grid[0], -1)[:, places.skipped :] if places.skipped else values
    return np.ascontiguousarray(flat.reshape(places.grid), np.float32)


def frames_of(order: int, frames: Sequence[int], time: int) -> list[int]:
    """Return for some of the `order` frames that a model reads, by their place, the place in a layer's time.

    Examples
    --------
    >>> frames_of(8, [0, 3, 7], time=4)
    [0, 1, 3]
    """
    return [int((frame + 0.5) * time / order) for frame in frames]


def _place_of_time(axes: Mapping[str, Any]) -> int:
    """Return the place of time among the axes that are neither clips nor channels."""
    first = {axes["batch_axis"], axes["channel_axis"]}
    return sum(axis not in first for axis in range(int(axes["time_axis"])))


def _grid_of(tokens: int, size: tuple[int, int]) -> tuple[int, tuple[int, int]] | None:
    """Return how many tokens come before the patches of a frame, and the patches' rows and columns, if they fit."""
    for skipped in (0, 1):
        height = round(((tokens - skipped) * size[0] / size[1]) ** 0.5)
        if height and (tokens - skipped) % height == 0:
            width = (tokens - skipped) // height
            if height > 1 and height * size[1] == width * size[0]:
                return skipped, (height, width)
    return None
