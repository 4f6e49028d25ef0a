"""look(): what some units of a run respond to, from the responses that the run kept and one extra run of the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sdmetrics.analysis.results import Results
from sdmetrics.clips.clip import Clip, Frames
from sdmetrics.clips.render import feeds, render
from sdmetrics.clips.styles.built_in import Style
from sdmetrics.clips.views import VIEWS_PER_CLIP
from sdmetrics.errors import InputError, note
from sdmetrics.inspection.choice import Row, extremes, strengths
from sdmetrics.inspection.maps import Places, frames_of, places_of, unit_map
from sdmetrics.inspection.strips import shown_input, strip
from sdmetrics.inspection.tokens import located
from sdmetrics.runners.protocols import TensorRunner

DIFFERS = 1e-2
"""The largest difference of a response that is computed again, relative to the spread of the unit's responses."""


@dataclass(frozen=True)
class Seen:
    """One view of a clip.

    Attributes
    ----------
    style, frames, names
        Its style, and thumbnails `(frames, height, width, 3)` with their names.
    response
        The unit's, as the run kept it.
    where
        Where the unit responds, float32 `(frames, height, width)`; None if that is not known.
    """

    style: str
    frames: Frames
    names: tuple[str, ...]
    response: float
    where: NDArray[np.float32] | None


@dataclass(frozen=True)
class Exemplar:
    """A clip to which a unit responds strongly or weakly, and its three views."""

    clip: str
    label: str | None
    views: tuple[Seen, ...]


@dataclass(frozen=True)
class InspectedUnit:
    """A unit, its responses to all clips and its exemplars.

    Attributes
    ----------
    layer, unit, label, dynamic, static
        The unit, its class and its scores in the run.
    responses
        `(clips, views)`, as the run kept them.
    highest, lowest
        The clips with the highest and the lowest response, the most extreme first.
    unknown
        Why it is not known where it responds; empty if it is.
    basis
        What is assumed about where it responds, or how it was found, as a sentence; empty if the model's file says it.
    """

    layer: str
    unit: int
    label: str
    dynamic: float | None
    static: float | None
    responses: NDArray[np.floating[Any]]
    highest: tuple[Exemplar, ...]
    lowest: tuple[Exemplar, ...]
    unknown: str = ""
    basis: str = ""


@dataclass(frozen=True)
class Inspection:
    """What some units of a run respond to; `clips` are the ids of the rows of their responses."""

    results: Results
    clips: tuple[str, ...]
    units: tuple[InspectedUnit, ...]


def look(
    results: Results,
    runner: TensorRunner,
    clips: Sequence[Clip],
    units: Sequence[Row],
    *,
    count: int = 3,
    styles: Mapping[str, Style] | None = None,
) -> Inspection:
    """Return what units of a run respond to.

    Parameters
    ----------
    results
        Of a run that kept its responses.
    runner, clips, styles
        The model, the clips and the styles of the run.
    units
        The rows of the units, see `sdmetrics.inspection.choice`.
    count
        How many clips with the highest, and with the lowest response are shown.

    Raises
    ------
    InputError
        If the run has no responses, or a clip of the run is not among `clips`.
    """
    layers = list(dict.fromkeys(row["layer"] for row in units))
    kept = {layer: results.responses(layer) for layer in layers}
    ids = next(iter(kept.values())).clips if kept else ()
    arrays = {layer: of_layer.array()[:, :VIEWS_PER_CLIP] for layer, of_layer in kept.items()}  # not further factors'
    chosen = []
    for row in units:
        responses = arrays[row["layer"]][:, :, row["unit"]]
        chosen.append((row, responses, extremes(strengths(responses, row["label"]), count)))
    wanted: dict[int, list[int]] = {}
    for number, (_, _, ends) in enumerate(chosen):
        for place in (*ends[0], *ends[1]):
            wanted.setdefault(place, []).append(number)
    by_id = {clip.id: clip for clip in clips}
    exemplars: dict[tuple[int, int], Exemplar] = {}
    found: dict[str, Places | str] = {}
    unlike = 0
    for place, numbers in sorted(wanted.items()):
        if ids[place] not in by_id:
            raise InputError(
                f"clip {ids[place]!r} of the run is not among the {len(clips)} clips; pass the run's clips with "
                "--clips CLIPS"
            )
        clip = by_id[ids[place]]
        views, shown = render(clip, results.seed, runner.inputs, styles)
        tensors = [runner.tensors(feeds([view], [one]), layers) for view, one in zip(views, shown, strict=True)]
        found = found or _places(runner, {layer: tensors[0][layer].shape for layer in layers})
        for number in numbers:
            row, responses, _ = chosen[number]
            layer, axes = row["layer"], runner.identity["layers"][row["layer"]]
            item = shown_input(runner.inputs, layer)
            held = [of_view[layer] for of_view in tensors]
            places = found[layer]
            again = [values[:, row["unit"]].mean(dtype=np.float64) for values in held]
            spread = float(responses.std()) or 1.0
            unlike += bool(np.abs(np.array(again) - responses[place]).max() > DIFFERS * spread)
            seen = []
            for which, (view, one) in enumerate(zip(views, shown, strict=True)):
                frames, names, places_in_time = strip(view, one, runner.inputs, item)
                where = None
                if isinstance(places, Places):
                    whole = unit_map(held[which], row["unit"], axes, places)
                    where = whole[frames_of(item.frames, places_in_time, places.grid[0])]
                seen.append(Seen(view.style, frames, names, float(responses[place, which]), where))
            exemplars[number, place] = Exemplar(clip.id, clip.label, tuple(seen))
    if unlike:
        note(
            f"{unlike} of {len(exemplars)} responses of exemplars are not those that the run kept: the model or the "
            "clips were changed, so the frames may not be what the units responded to"
        )
    return Inspection(results, ids, tuple(_inspected(n, exemplars, found, *each) for n, each in enumerate(chosen)))


def _places(runner: TensorRunner, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Places | str]:
    """Return what the axes of layers mean, given the shapes of their tensors for one view, or why it is not known."""
    axes = runner.identity["layers"]
    tokens = [name for name, shape in shapes.items() if len(shape) == 3 and axes[name].get("time_axis") is None]
    found = located(runner, tokens) if tokens else {}
    why = "what the layer’s {} tokens stand for is not known: after halves of a clip are changed, they do not tell"
    return {
        layer: found.get(layer, why.format(" × ".join(str(count) for count in (shape[0], shape[2]) if count > 1)))
        if layer in tokens
        else places_of(shape, axes[layer], shown_input(runner.inputs, layer).size)
        for layer, shape in shapes.items()
    }


def _inspected(
    number: int,
    exemplars: Mapping[tuple[int, int], Exemplar],
    found: Mapping[str, Places | str],
    row: Row,
    responses: NDArray[np.floating[Any]],
    ends: tuple[list[int], list[int]],
) -> InspectedUnit:
    """Return what is known about one unit."""
    places = found.get(row["layer"], "no clip was looked at")
    return InspectedUnit(
        row["layer"],
        row["unit"],
        row["label"],
        row["dynamic"],
        row["static"],
        responses,
        tuple(exemplars[number, place] for place in ends[0]),
        tuple(exemplars[number, place] for place in ends[1]),
        places if isinstance(places, str) else "",
        "" if isinstance(places, str) else places.basis,
    )
