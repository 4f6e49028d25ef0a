"""The figure of centre biases, as in Fig. 8 (right) of the paper: one map per data set."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics.errors import InputError, require
from sdmetrics.report.figures import INK, save_charts
from sdmetrics.report.words import estimate, known

if TYPE_CHECKING:
    import altair as alt

    from sdmetrics.evaluation.centre_bias import CentreBias

WIDTH = 384
"""The approximate width of a map, in pixels. Each cell has a whole number of pixels, so that no seams show."""

COLUMNS = 2


def write_centre_figure(biases: Mapping[str, CentreBias], folder: str | Path) -> list[Path]:
    """Draw the maps of data sets, by name, to `centre-bias.png` and `centre-bias.svg` in `folder`.

    Raises
    ------
    InputError
        If there are no data sets, or the folder cannot be written to.
    MissingExtra
        Without Altair or vl-convert.

    Examples
    --------
    >>> write_centre_figure({}, "figures")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: there are no data sets; a figure needs at least one
    """
    if not biases:
        raise InputError("there are no data sets; a figure needs at least one")
    alt: Any = require("altair", extra="report")
    from sdmetrics.report.charts import theme

    maps = [_map(name, bias) for name, bias in biases.items()]
    figure = alt.concat(*maps, columns=COLUMNS, config={**theme(INK), "background": "white"})
    return save_charts({"centre-bias": figure}, folder)


def _map(name: str, bias: CentreBias) -> alt.LayerChart:
    """Draw one map, a rectangle per cell, and the central box. Cells without annotation are white."""
    import altair as alt

    height, width = bias.map.shape
    rows = [
        {"x": x, "x2": x + 1, "y": y, "y2": y + 1, "share": round(share, 3)}
        for y, line in enumerate(bias.map.tolist())
        for x, share in enumerate(line)
        if not math.isnan(share)
    ]
    box = {"x": width / 4, "x2": width * 3 / 4, "y": height / 4, "y2": height * 3 / 4}
    x = alt.X("x:Q", axis=None, scale=alt.Scale(domain=[0, width], nice=False))
    y = alt.Y("y:Q", axis=None, scale=alt.Scale(domain=[height, 0], nice=False))
    colour = alt.Color(
        "share:Q",
        scale=alt.Scale(domain=[0, 1], scheme="viridis"),
        legend=alt.Legend(title=["objects", "(maximum: 1)"], values=[0, 0.5, 1]),
    )
    pixels, central = (
        alt.Chart(alt.InlineData(values=values)).encode(x=x, x2="x2:Q", y=y, y2="y2:Q") for values in (rows, [box])
    )
    side = max(round(WIDTH / width), 1)
    return alt.LayerChart(
        layer=[
            pixels.mark_rect(aria=False).encode(color=colour),
            central.mark_rect(fillOpacity=0, stroke="white", strokeDash=[4, 3], aria=False),
        ],
        title=alt.Title(
            name,
            subtitle=f"centre bias {number_text(bias)} · {bias.frames} {'frame' if bias.frames == 1 else 'frames'}",
        ),
        width=side * width,
        height=side * height,
    )


def number_text(bias: CentreBias) -> str:
    """Format the centre bias with its interval.

    Examples
    --------
    >>> import numpy as np
    >>> from sdmetrics.evaluation.centre_bias import CentreBias
    >>> number_text(CentreBias(np.ones((2, 2)), 1.0, [0.8, 1.25], clips=20, frames=20))
    '1.00 [0.80, 1.25]'
    """
    return estimate(bias.number, known(bias.ci95))
