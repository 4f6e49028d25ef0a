"""The charts of a comparison: over the steps of a training (as in Fig. 10 of the paper), and run against run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from sdmetrics.metrics.classes import FACTORS
from sdmetrics.report.charts import class_scale, layer_axis
from sdmetrics.report.words import BAR_ORDER, interval_text, percent

Row = Mapping[str, Any]
"""A row of `Comparison.rows`."""


def over_steps(rows: Sequence[Row], top: float) -> alt.LayerChart:
    """Draw a layer's percents (Eq. 1) over the steps of a training, with their 95 % intervals."""
    values = [
        {**_reading(row, factor, f"step {row['step']}"), "step": row["step"], "factor": factor}
        for row in rows
        for factor in FACTORS
    ]
    x = alt.X("step:Q", title="step", axis=alt.Axis(tickCount=5, tickMinStep=1, format=",d"))
    legend = alt.Legend(orient="bottom", title=None, symbolOpacity=1)
    colour = alt.Color("factor:N", scale=class_scale(FACTORS), legend=legend)
    shape = alt.Shape("factor:N", scale=alt.Scale(domain=FACTORS, range=["circle", "square"]), legend=legend)
    dash = alt.StrokeDash("factor:N", scale=alt.Scale(domain=FACTORS, range=[[1, 0], [6, 3]]), legend=legend)
    return _bands_and_lines(values, x, colour, shape, top, line={"strokeDash": dash})


def classes_over_steps(rows: Sequence[Row]) -> alt.Chart:
    """Draw the shares of a layer's units in each class (Eq. 3) over the steps, with dead units apart."""
    values = []
    for row in rows:
        start = 0.0
        for name in BAR_ORDER:
            count = row[f"units_{name}"] - (row["units_dead"] if name == "residual" else 0)
            end = start + 100 * count / row["units"]
            values.append({"step": row["step"], "class": name, "start": start, "end": end, "units": count})
            start = end
    chart: alt.Chart = (
        alt.Chart(alt.InlineData(values=values))
        .mark_area(opacity=0.9, aria=False)
        .encode(
            x=alt.X("step:Q", title="step", axis=alt.Axis(tickCount=5, tickMinStep=1, format=",d")),
            y=alt.Y("start:Q", title="percent of units (Eq. 3)", scale=alt.Scale(domain=[0, 100])),
            y2="end:Q",
            color=alt.Color("class:N", scale=class_scale(BAR_ORDER), title=None, legend=alt.Legend(orient="bottom")),
            tooltip=["step:Q", "class:N", "units:Q"],
        )
    )
    return chart


def across_layers(rows: Sequence[Row], factor: str, top: float) -> alt.LayerChart:
    """Draw one factor's percents (Eq. 1) of several runs over their layers.

    Layers are placed by name if all runs have the same layers, else by relative depth.
    """
    runs = list(dict.fromkeys(row["run"] for row in rows))
    names = {run: [row["layer"] for row in rows if row["run"] == run] for run in runs}
    layers = names[runs[0]]
    if all(names[run] == layers for run in runs):
        x = layer_axis(layers)
    else:
        x = alt.X("depth:Q", title="relative depth (0: first layer, 1: last layer)", scale=alt.Scale(domain=[0, 1]))
    values = [
        {
            **_reading(row, factor, f"{row['run']}, {row['layer']}"),
            "run": row["run"], "layer": row["layer"], "depth": row["depth"], "factor": factor,
        }
        for row in rows
    ]  # fmt: skip
    legend = alt.Legend(orient="bottom", title=None, labelLimit=240, columns=2, symbolOpacity=1)
    colour = alt.Color("run:N", scale=alt.Scale(domain=runs, scheme="tableau10"), legend=legend)
    shape = alt.Shape("run:N", scale=alt.Scale(domain=runs), legend=legend)
    return _bands_and_lines(values, x, colour, shape, top)


def highest(rows: Iterable[Row]) -> float:
    """Return the end of the percents' common axis: 50 %, which exceeds any value for scores up to 1, or more."""
    ends = [row[f"percent_{factor}{end}"] for row in rows for factor in FACTORS for end in ("", "_high")]
    return max([50.0, *(float(end) for end in ends if end is not None)])


def _bands_and_lines(
    values: Sequence[Row],
    x: alt.X,
    colour: alt.Color,
    shape: alt.Shape,
    top: float,
    line: Mapping[str, Any] | None = None,
) -> alt.LayerChart:
    """Draw percents over `x`: a line with points, and a band for the intervals."""
    y = alt.Y("percent:Q", title="percent of units (Eq. 1)", scale=alt.Scale(domain=[0, top]))
    base = alt.Chart(alt.InlineData(values=list(values))).encode(x=x, color=colour)
    bounded = base.transform_filter("isValid(datum.low)").encode(y=alt.Y("low:Q"), y2="high:Q")
    marks = base.encode(y=y, tooltip=["reading:N"], description=alt.Description("reading:N"))
    return alt.LayerChart(
        layer=[
            bounded.mark_area(opacity=0.14, aria=False),
            bounded.mark_rule(strokeWidth=1.5, opacity=0.5, aria=False),
            marks.mark_line(strokeWidth=2, aria=False).encode(**(line or {})),
            marks.transform_filter("isValid(datum.percent)")
            .mark_point(size=45, filled=True, opacity=1)
            .encode(shape=shape),
        ]
    )


def _reading(row: Row, factor: str, where: str) -> dict[str, Any]:
    """Return a percent, its interval, and both as text for tooltips and screen readers."""
    value, low, high = (row[f"percent_{factor}{end}"] for end in ("", "_low", "_high"))
    bounds = None if low is None or high is None else (low, high)
    reading = f"{where}, {factor}: {percent(value)} {interval_text(bounds, 1)}"
    return {"percent": value, "low": low, "high": high, "reading": reading}
