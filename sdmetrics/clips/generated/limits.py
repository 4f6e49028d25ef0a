"""Checks of the sizes and settings of generated worlds."""

from __future__ import annotations

from sdmetrics.errors import InputError


def check_world(
    world: str, n: int, frames: int, size: int, seed: int, *, least_frames: int, least_size: int, why: str = ""
) -> None:
    """Raise an `InputError` if the clips of a world cannot be drawn.

    Parameters
    ----------
    world
        The kind of world, for the message.
    n, frames, size, seed
        Number of clips, frames per clip, height and width of a frame, and seed of the world.
    least_frames, least_size
        The smallest `frames` and `size`.
    why
        What the smallest size depends on, appended to the message.

    Examples
    --------
    >>> check_world("world", 1, 1, 40, 0, least_frames=2, least_size=8)
    Traceback (most recent call last):
    sdmetrics.errors.InputError: a world with n=1, frames=1, size=40, seed=0 cannot be drawn; allowed: n and seed from \
0, frames from 2, size from 8
    """
    if n < 0 or seed < 0 or frames < least_frames or size < least_size:
        raise InputError(
            f"a {world} with n={n}, frames={frames}, size={size}, seed={seed} cannot be drawn; allowed: n and seed "
            f"from 0, frames from {least_frames}, size from {least_size}{why}"
        )


def check_range(name: str, value: float, lowest: float, highest: float, note: str = "") -> None:
    """Raise an `InputError` if a setting is not from `lowest` to `highest`; `note` explains the upper limit.

    Examples
    --------
    >>> check_range("a world's clutter", 0.5, 0, 0.2)
    Traceback (most recent call last):
    sdmetrics.errors.InputError: a world's clutter is 0.5; allowed: 0 to 0.2
    """
    if not lowest <= value <= highest:
        raise InputError(f"{name} is {value}; allowed: {lowest:g} to {highest:g}{note}")
