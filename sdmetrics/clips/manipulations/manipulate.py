"""Manipulations by name: what is done to a clip to see what a model does without it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import numpy as np

from sdmetrics.clips.clip import Clip
from sdmetrics.clips.flow.estimate import estimator
from sdmetrics.clips.manipulations.noise import appearance_free
from sdmetrics.clips.manipulations.orders import freeze, loop, reverse, shuffle
from sdmetrics.clips.render import Shown, plain
from sdmetrics.clips.views import View, clip_generator
from sdmetrics.errors import InputError
from sdmetrics.probes.inputs import FLOWS, ModelInput

METHOD = 1
"""Version of the manipulations; raised when a change of them changes a number."""

IN_TIME: Mapping[str, Callable[[View, Shown], tuple[View, Shown]]] = {
    "reverse": reverse,
    "freeze": freeze,
    "loop": loop,
}

MANIPULATIONS = ("shuffle", *IN_TIME, "appearance-free")
"""What can be done to a clip: its frames in another order, backwards, one of them all the time, the first half twice,
or noise that moves as the clip does."""


def manipulated(name: str, clip: Clip, seed: int, inputs: Sequence[ModelInput]) -> tuple[View, Shown]:
    """Return the view of a manipulated clip and what it draws from, as `sdmetrics.clips.render.plain` does.

    The result depends only on the arguments.

    Raises
    ------
    InputError
        As `plain`, and if the manipulation changes nothing in the clip.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> video, clip = [ModelInput("video", size=(40, 40))], world_clips(1)[0]
    >>> for name in ("reverse", "freeze", "loop"):
    ...     print(manipulated(name, clip, 0, video)[0].orders["video"].tolist())
    [7, 6, 5, 4, 3, 2, 1, 0]
    [4, 4, 4, 4, 4, 4, 4, 4]
    [0, 1, 2, 3, 0, 1, 2, 3]
    """
    return manipulated_view(name, clip, *plain(clip, inputs), seed, inputs)


def manipulated_view(
    name: str, clip: Clip, view: View, shown: Shown, seed: int, inputs: Sequence[ModelInput]
) -> tuple[View, Shown]:
    """Return any view of a clip, for instance one in a style, manipulated. Noise is not drawn in a style.

    Raises
    ------
    InputError
        If the manipulation changes nothing in the view, or the clip cannot be decoded.

    Examples
    --------
    >>> from sdmetrics.clips.generated.world import world_clips
    >>> from sdmetrics.clips.render import render
    >>> video, clip = [ModelInput("video", size=(40, 40))], world_clips(1)[0]
    >>> views, shown = render(clip, 0, video)
    >>> view, _ = manipulated_view("reverse", clip, views[0], shown[0], 0, video)
    >>> view.style == views[0].style, view.orders["video"].tolist()
    (True, [7, 6, 5, 4, 3, 2, 1, 0])
    """
    changed, drawn = _done(name, clip, view, shown, seed)
    if all(
        np.array_equal(shown[item.source][view.orders[item.name]], drawn[item.source][changed.orders[item.name]])
        for item in inputs
    ):
        raise InputError(f"clip {clip.id!r} shows the same under {name!r} as untouched, so it says nothing about it")
    return changed, drawn


def check_manipulations(names: Iterable[str], inputs: Sequence[ModelInput]) -> tuple[str, ...]:
    """Return the names of manipulations if they can be done to what a model reads.

    * `shuffle` takes several frames in every input.
    * `reverse`, `freeze` and `loop` take several frames, or optical flow, in any; `loop` takes several frames of it.
    * `appearance-free` takes frames in any input, and several of them or optical flow besides: a single frame of noise
      shows nothing.

    Raises
    ------
    InputError
        If a name is not allowed or is there twice, or a manipulation would leave the model nothing to see, or nothing
        changed.

    Examples
    --------
    >>> check_manipulations(["reverse"], [ModelInput("image", frames=1, layout="NCHW")])
    Traceback (most recent call last):
    sdmetrics.errors.InputError: manipulation 'reverse' changes nothing in the single frame that model input 'image' \
reads; leave it out, or use a model that reads several frames
    """
    if isinstance(names, str):
        raise InputError(f"manipulations are {names!r}; expected a list of names, e.g. [{names!r}]")
    chosen = tuple(names)
    for name in chosen:
        if name not in MANIPULATIONS:
            close = get_close_matches(str(name), MANIPULATIONS, 1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise InputError(f"manipulation {name!r} is not known; allowed: {', '.join(MANIPULATIONS)}{hint}")
        if chosen.count(name) > 1:
            raise InputError(f"manipulation {name!r} is named {chosen.count(name)} times; name each once")
        _check_inputs(name, inputs)
    return chosen


def identity_of_manipulations(names: Sequence[str]) -> dict[str, Any]:
    """Return what decides the numbers under some manipulations, by name: their version, and how motion is estimated.

    Examples
    --------
    >>> identity_of_manipulations(["reverse", "loop"])
    {'reverse': {'method': 1}, 'loop': {'method': 1}}
    """
    return {name: {"method": METHOD, **({"flow": estimator()} if name == "appearance-free" else {})} for name in names}


def _done(name: str, clip: Clip, view: View, shown: Shown, seed: int) -> tuple[View, Shown]:
    """Return a view with one manipulation done to it."""
    if name in IN_TIME:
        return IN_TIME[name](view, shown)
    rng = clip_generator(seed, clip.id)
    return shuffle(view, shown, rng) if name == "shuffle" else (view, appearance_free(clip, shown, rng))


def _check_inputs(name: str, inputs: Sequence[ModelInput]) -> None:
    """Raise an `InputError` if a manipulation has no place in what a model reads."""
    called = ", ".join(repr(item.name) for item in inputs)
    moving = any(item.source in FLOWS or item.frames > 1 for item in inputs)
    single = next((item.name for item in inputs if item.frames < 2), None)
    if name == "shuffle" and single:
        raise InputError(
            f"model input {single!r} reads a single frame, which cannot be shuffled; leave the shuffle out"
        )
    if name == "appearance-free":
        if all(item.source in FLOWS for item in inputs):
            raise InputError(
                f"model input {called} reads optical flow only, which shows no appearance, so manipulation {name!r} "
                "changes nothing; leave it out"
            )
        if not moving:
            raise InputError(
                f"model input {called} reads a single frame, of which manipulation {name!r} leaves nothing but noise; "
                "leave it out, or use a model that reads several frames"
            )
    elif not moving or (name == "loop" and all(item.frames < 2 for item in inputs)):
        raise InputError(
            f"manipulation {name!r} changes nothing in the single frame that model input {called} reads; leave it "
            "out, or use a model that reads several frames"
        )
