"""Manipulations of time: shuffle, reverse, freeze and loop. Frames are shown in another order; flow follows them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.clips.flow.colour import flow_to_rgb, rgb_to_flow
from sdmetrics.clips.render import Shown
from sdmetrics.clips.views import View, content_of, shuffled

Order = NDArray[np.int64]


def shuffle(view: View, shown: Shown, rng: np.random.Generator) -> tuple[View, Shown]:
    """Shuffle the frames, independently for every input.

    Raises
    ------
    InputError
        If an input's frames all show the same.
    """
    content = content_of(next(iter(shown.values())))
    orders = {name: shuffled(order, content, rng, name) for name, order in view.orders.items()}
    return replace(view, orders=orders), shown


def reverse(view: View, shown: Shown) -> tuple[View, Shown]:
    """Run time backwards: every input's last frame comes first, and flow has the opposite direction.

    Flow leads from a frame to the next one. Where it is shown backwards it should lead to the frame before; that is
    taken to be the opposite vector, which is exact where the motion is steady.
    """
    return _reordered(view, lambda order: order[::-1]), _changed(shown, np.negative)


def freeze(view: View, shown: Shown) -> tuple[View, Shown]:
    """Show the clip's middle frame all the time, and no motion in the flow; inputs of one frame keep theirs."""
    middle = len(next(iter(shown.values()))) // 2
    return _reordered(view, lambda order: np.full_like(order, middle)), _changed(shown, np.zeros_like)


def loop(view: View, shown: Shown) -> tuple[View, Shown]:
    """Show the first half of what each input reads twice; flow follows its frames, also at the jump between them.

    With an odd number of frames, the one in the middle belongs to the first half, whose second showing ends before it.
    """
    return _reordered(view, lambda order: order[np.arange(len(order)) % ((len(order) + 1) // 2)]), shown


def _reordered(view: View, change: Callable[[Order], Order]) -> View:
    """Return a view whose inputs of several frames read them in a changed order."""
    return replace(view, orders={name: change(o).copy() if len(o) > 1 else o for name, o in view.orders.items()})


def _changed(shown: Shown, change: Callable[[NDArray[Any]], NDArray[Any]]) -> Shown:
    """Return what a view draws from with the vectors of the flow changed, in whichever form it is read."""
    forms: Mapping[str, Callable[[NDArray[Any]], NDArray[Any]]] = {
        "flow": lambda image: flow_to_rgb(change(rgb_to_flow(image, scale=1)), scale=1),
        "flow_vectors": change,
    }
    return {source: forms[source](values) if source in forms else values for source, values in shown.items()}
