"""The page of units: what single units respond to, as one file that works offline."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sdmetrics._files import replacing
from sdmetrics.clips.views import PAIRS
from sdmetrics.errors import InputError, note, require
from sdmetrics.report import words
from sdmetrics.report.html import render_page
from sdmetrics.report.thumbnails import peak_in_words, response_image, strip_image

if TYPE_CHECKING:
    from sdmetrics.inspection.look import Exemplar, InspectedUnit, Inspection

FILE_NAME = "inspection.html"
"""The page in the folder of a run."""

MOST_POINTS = 2000
"""Clips in a scatter; evenly spaced over all."""

SIZES = ((96, 80), (72, 75), (56, 70), (44, 60), (32, 50))
"""Height and quality of thumbnails, from the best to the smallest."""


@dataclass(frozen=True)
class Look:
    """How the page shows its images: their height and quality, and how many exemplars of each end there are."""

    height: int
    quality: int
    exemplars: int


def write_inspection(inspection: Inspection, path: str | Path, *, max_mb: float = 5.0) -> Path:
    """Write an HTML page that works offline: the responses of units, their exemplars, and where they respond.

    Parameters
    ----------
    inspection
        See `sdmetrics.inspect`.
    path
        The file to write.
    max_mb
        Its largest size, in millions of bytes. Thumbnails become smaller and fewer until it fits, and a note says so.

    Raises
    ------
    InputError
        If there are no units, the page cannot be that small, or the file cannot be written.
    MissingExtra
        Without Altair, vl-convert or Jinja2.
    """
    require("altair", extra="report")
    if not inspection.units:
        raise InputError("there are no units to show: all of the layer are dead; name another layer")
    most = max(len(unit.highest) for unit in inspection.units)
    looks = [*(Look(*size, most) for size in SIZES), *(Look(*SIZES[-1], count) for count in range(most - 1, 0, -1))]
    for chosen in looks:
        smaller = "" if chosen == looks[0] else _smaller(chosen, max_mb, most)
        page = _page(inspection, chosen, smaller).encode()
        if len(page) <= max_mb * 1e6:
            break
    else:
        raise InputError(
            f"the page has {len(page) / 1e6:.1f} MB with the smallest thumbnails, and at most {max_mb:g} are allowed; "
            "show fewer units, or allow more with --max-mb (in Python, max_mb)"
        )
    if smaller:
        note(smaller)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(page)
    return Path(path)


def _smaller(chosen: Look, max_mb: float, most: int) -> str:
    """Say how the page was made small enough."""
    fewer = f" and each end has {chosen.exemplars} of {most} clips" if chosen.exemplars < most else ""
    return f"so that the page has at most {max_mb:g} MB, thumbnails are {chosen.height} pixels high{fewer}"


def _page(inspection: Inspection, chosen: Look, smaller: str) -> str:
    """Return the page."""
    from sdmetrics.report import charts
    from sdmetrics.report.inspection_chart import response_scatters

    results = inspection.results
    spec = {key: value for key, value in response_scatters().to_dict().items() if key != "$schema"}
    step = -(-len(inspection.clips) // MOST_POINTS)
    return render_page(
        "inspection.html",
        "inspection.js",
        name=results.model.get("name") or "model",
        results=results,
        units=[_unit(unit, chosen) for unit in inspection.units],
        smaller=smaller,
        clips=len(inspection.clips),
        points=len(inspection.clips[::step]),
        data={
            "svg": charts.theme("currentColor"),
            "scatter": spec,
            "clips": inspection.clips,
            "units": [_data(unit, inspection, step) for unit in inspection.units],
        },
    )


def _data(unit: InspectedUnit, inspection: Inspection, step: int) -> dict[str, Any]:
    """Return what the script draws of a unit: scores, and responses by view at the places of `clips`."""
    ends = {"highest": [one.clip for one in unit.highest], "lowest": [one.clip for one in unit.lowest]}
    places = {clip: place for place, clip in enumerate(inspection.clips)}
    shown = sorted({*range(0, len(inspection.clips), step), *(places[c] for end in ends.values() for c in end)})
    return {
        "dynamic": unit.dynamic,
        "static": unit.static,
        "places": shown,
        "responses": [[float(f"{value:.4g}") for value in unit.responses[shown, view]] for view in range(3)],
        "labels": {one.clip: one.label for one in (*unit.highest, *unit.lowest) if one.label},
        **ends,
    }


def _unit(unit: InspectedUnit, chosen: Look) -> dict[str, Any]:
    """Return what the template shows of a unit."""
    maps = [seen.where for one in (*unit.highest, *unit.lowest) for seen in one.views if seen.where is not None]
    strongest = max((float(np.abs(where).max()) for where in maps), default=0.0)
    ends = {"highest": unit.highest[: chosen.exemplars], "lowest": unit.lowest[: chosen.exemplars]}
    return {
        "layer": unit.layer,
        "unit": unit.unit,
        "label": unit.label,
        "scores": {factor: words.number(getattr(unit, factor)) for factor in PAIRS},
        "scatter": ", ".join(
            f"{factor} pair, view 1 against view {PAIRS[factor][1] + 1}: score {words.number(getattr(unit, factor))}"
            for factor in PAIRS
        ),
        "strongest": words.rounded(strongest),
        "unknown": unit.unknown,
        "basis": unit.basis,
        "ends": {end: [_exemplar(one, strongest, chosen) for one in clips] for end, clips in ends.items()},
    }


def _exemplar(exemplar: Exemplar, strongest: float, chosen: Look) -> dict[str, Any]:
    """Return what the template shows of an exemplar."""
    captions = ("in order", "in order, another style", "other motion")
    return {
        "clip": exemplar.clip,
        "label": exemplar.label,
        "views": [
            {
                "number": number,
                "caption": f"{seen.style}, {caption}",
                "response": words.rounded(seen.response),
                "image": strip_image(seen.frames, chosen.height, chosen.quality),
                "names": seen.names,
                "where": "" if seen.where is None else response_image(seen.where, strongest, chosen.height),
                "peak": "" if seen.where is None else peak_in_words(seen.where),
            }
            for number, (seen, caption) in enumerate(zip(exemplar.views, captions, strict=True), 1)
        ],
    }
