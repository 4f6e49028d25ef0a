"""Tokens: which place in time, height and width each token of a layer stands for, found by changing parts of a clip."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.inspection.maps import Places
from sdmetrics.probes.feeds import order_name, random_feeds
from sdmetrics.runners.protocols import TensorRunner

FIRST = (0, 1, 2, 5)
"""How many tokens may come before those of places: none, a class token, that and another, or four more (registers)."""

ENOUGH = 0.9
"""The share of tokens that have to respond more to the half that they are in."""


MOST_CLIPS = 4
"""Clips of noise that are looked at."""

FEWEST = 8
"""Tokens of a grid: so few can fit by chance."""


def located(runner: TensorRunner, layers: Sequence[str]) -> dict[str, Places]:
    """Return which places the tokens of layers `(rows, units, tokens)` stand for, where they show it.

    A clip of noise is changed in either half of its time, height and width. The grid and the order of the tokens are
    those under which tokens respond more to the half that they are in. If one clip does not tell, more are looked at.

    Parameters
    ----------
    runner
        The model.
    layers
        Their names.
    """
    found: dict[str, Places] = {}
    left = list(layers)
    sums: dict[str, NDArray[np.float64]] = {}
    frames = max(one.frames for one in runner.inputs)
    for seed in range(MOST_CLIPS):
        for layer, changes in _responses_to_halves(runner, left, frames, seed).items():
            sums[layer] = sums.get(layer, 0.0) + changes
            first, second = np.log(np.maximum(sums[layer], np.finfo(float).tiny)).swapaxes(0, 1)
            in_second = [more > np.median(more) for more in second - first]
            fitting = [(share, places) for share, places in _rated(in_second, frames) if share >= ENOUGH]
            if fitting:
                # Rows and columns of several frames can be those of one long frame, which time would not explain.
                share, places = max(fitting, key=lambda rated: (rated[1].grid[0] > 1, rated[0]))
                found[layer] = replace(places, basis=_in_words(places, in_second[0].shape, share))
        left = [layer for layer in layers if layer not in found]
        if not left:
            break
    return found


def _responses_to_halves(
    runner: TensorRunner, layers: Sequence[str], frames: int, seed: int
) -> dict[str, NDArray[np.float64]]:
    """Return how much tokens change with the halves of a clip, `(time height width, first second, rows, tokens)`."""
    feeds = dict(random_feeds(runner.inputs, 1, seed))
    for one in runner.inputs:
        feeds[order_name(one)] = (2 * np.arange(one.frames)[None] + 1) * frames // (2 * one.frames)
    before = runner.tensors(feeds, layers)
    changes: dict[str, list[NDArray[Any]]] = {layer: [] for layer in layers}
    for axis in range(3):
        for second in (False, True):
            after = runner.tensors(_changed(feeds, axis, second, frames), layers)
            for layer in layers:
                changes[layer].append(np.abs(after[layer] - before[layer]).mean(axis=1, dtype=np.float64))
    return {layer: np.stack(each).reshape(3, 2, *each[0].shape) for layer, each in changes.items()}


def _in_words(places: Places, shape: Sequence[int], share: float) -> str:
    """Say how the places of `(rows, tokens)` were found."""
    rows, tokens = shape
    count = f"{rows} × {tokens}" if rows > 1 else str(tokens)
    grid = " × ".join(map(str, places.grid))
    order = "place by place, each over time" if places.time_last else "frame by frame, row by row"
    after = f", after {places.skipped} other{' in each row' if rows > 1 else ''}" if places.skipped else ""
    return (
        f"That its {count} tokens are {grid} parts of time, height and width, {order}{after}, "
        f"was found by changing halves of a clip: {100 * share:.0f} % of the tokens responded more to theirs."
    )


def _changed(feeds: Mapping[str, NDArray[Any]], axis: int, second: bool, frames: int) -> dict[str, NDArray[Any]]:
    """Return feeds with other values in the first or the second half of time, height or width."""
    changed = dict(feeds)
    for source in (name for name in feeds if not name.endswith("/order")):
        changed[source] = feeds[source].copy()
        along = np.moveaxis(changed[source], axis + 1, 1)
        middle = (frames if axis == 0 else along.shape[1]) // 2
        half = along[:, middle:] if second else along[:, :middle]
        half[:] = half[:, ::-1, ::-1, ::-1].copy()
    return changed


def _rated(in_second: Sequence[NDArray[np.bool_]], frames: int) -> Iterator[tuple[float, Places]]:
    """Yield every grid and order of the tokens, with the share of tokens that fit it, the lowest of the axes'.

    For each axis it is known of each token, `(rows, tokens)`, whether it responds more to the second half.
    """
    rows, tokens = in_second[0].shape
    for first in (skipped for skipped in FIRST if skipped < tokens):
        for grid, time_last in _layouts(rows, tokens - first, frames):
            places = Places(grid, first, time_last=time_last)
            shares = []
            for axis, (marks, size) in enumerate(zip(in_second, grid, strict=True)):
                if size > 1:
                    # Of an odd number, the one in the middle is in both halves.
                    along = np.moveaxis(places.laid_out(marks[:, first:]), axis, 0)
                    shares.append((along[-(size // 2) :].mean() + 1 - along[: size // 2].mean()) / 2)
            yield float(min(shares)) * (tokens - first) / tokens, places


def _layouts(rows: int, tokens: int, frames: int) -> Iterator[tuple[tuple[int, int, int], bool]]:
    """Yield the grids that so many tokens of so many rows can be, and whether time is the last of their axes.

    Examples
    --------
    >>> list(_layouts(1, 8, frames=2))
    [((1, 2, 4), False), ((1, 4, 2), False), ((2, 2, 2), False), ((2, 2, 2), True)]
    >>> list(_layouts(4, 8, frames=8))
    [((4, 2, 4), False), ((4, 4, 2), False), ((8, 2, 2), True)]
    """
    times = [(time, time > 1) for time in range(1, tokens + 1)] if rows == 1 else [(rows, False), (tokens, True)]
    for time, last in times:
        count, rest = divmod(rows * tokens, time)
        if rest or time > frames or rows * tokens < FEWEST:
            continue
        for height in (height for height in range(2, count // 2 + 1) if count % height == 0):
            grid = time, height, count // height
            if rows == 1 or not last:
                yield grid, False
            if last:
                yield grid, True
