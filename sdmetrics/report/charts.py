"""The Altair charts of a report. The page and the static figures use the same charts."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from sdmetrics.metrics.classes import FACTORS
from sdmetrics.report.words import BAR_ORDER, bar_segments, interval, interval_text, measurable, percent, share, streams

COLOURS = {
    "dynamic": "#2f7bbd",
    "joint": "#7f50b5",
    "static": "#c8452f",
    "residual": "#a3a7ad",
    "dead": "#6d7178",
}
"""Colours by class, with contrast on white and on black. Labels, shapes and patterns carry the same information."""

NOTHING, ALL = 100 / (2 + math.e), 100 / 3
"""Eq. 1 for the scores (0, 0) and (1, 1): the value of both curves if a layer shares nothing, or everything."""

Row = dict[str, Any]

LIVE_INK: Row = {"expr": "ink"}
"""The text colour of a chart on a canvas, which does not inherit the page's colours as an SVG does."""


def theme(ink: str | Row) -> Row:
    """Return the shared Vega configuration, with text and lines in the colour `ink`.

    With `LIVE_INK` the chart's parameter sets the colour.
    """
    return {
        "background": "transparent",
        "font": "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif",
        "view": {"stroke": None},
        "axis": {
            "labelColor": ink, "titleColor": ink, "domainColor": ink, "tickColor": ink, "gridColor": ink,
            "labelOpacity": 0.75, "titleOpacity": 0.75,
            "gridOpacity": 0.1, "domainOpacity": 0.3, "tickOpacity": 0.3,
            "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 10,
            "labelLimit": 320, "labelPadding": 5,
        },
        "axisX": {"grid": False},
        "title": {
            "color": ink, "fontSize": 14, "fontWeight": 600, "anchor": "start", "limit": 420,
            "subtitleColor": ink, "subtitleFontSize": 11,
        },
        "legend": {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "symbolType": "square"},
        "text": {"color": ink, "fontSize": 12},
        "rule": {"color": ink},
    }  # fmt: skip


def curves(layers: Sequence[Row], top: float = 50) -> alt.LayerChart:
    """Draw the layer-wise percents (Eq. 1) over the layers in model order, with their 95 % intervals.

    Dotted lines show the value of both curves if both scores are 0 (21.2 %) or 1 (33.3 %). Streams, e.g. the pathways
    of SlowFast, have separate curves.
    """
    names = [layer["name"] for layer in layers]
    x = layer_axis(names)
    y = alt.Y(
        "percent:Q",
        title="percent of units (Eq. 1)",
        scale=alt.Scale(domain=[0, top]),
        axis=alt.Axis(tickCount=6),
    )
    colour = alt.Color("factor:N", scale=class_scale(FACTORS), legend=None)
    factor = alt.Chart(alt.InlineData(values=_curve_rows(layers))).encode(x=x, color=colour)
    known = "isValid(datum.percent)"
    bounded = factor.transform_filter("isValid(datum.low)").encode(y=alt.Y("low:Q"), y2="high:Q")
    marks = factor.encode(
        y=y,
        tooltip=["layer:N", "factor:N", "text:N", "interval:N", alt.Tooltip("score:Q", format=".3f")],
        description=alt.Description("description:N"),
    )
    guides = alt.Chart(alt.InlineData(values=[{"percent": NOTHING}, {"percent": ALL}])).encode(y=y)
    return alt.LayerChart(
        layer=[
            guides.mark_rule(strokeDash=[2, 3], opacity=0.4, aria=False),
            bounded.mark_area(opacity=0.14, aria=False).encode(detail="stream:N"),
            bounded.mark_rule(strokeWidth=1.5, opacity=0.8, aria=False),
            marks.mark_line(strokeWidth=2, aria=False).encode(
                detail="stream:N",
                strokeDash=alt.StrokeDash(
                    "factor:N", scale=alt.Scale(domain=FACTORS, range=[[1, 0], [6, 3]]), legend=None
                ),
            ),
            marks.transform_filter(known)
            .mark_point(size=55, filled=True, opacity=1)
            .encode(
                shape=alt.Shape("factor:N", scale=alt.Scale(domain=FACTORS, range=["circle", "square"]), legend=None)
            ),
            *(
                marks.transform_filter(f"datum.end == '{baseline}'")
                .mark_text(align="left", dx=9, dy=dy, fontWeight=600, aria=False)
                .encode(text="factor:N")
                for baseline, dy in (("upper", -7), ("lower", 8))
            ),
        ]
    )


def layer_axis(names: Sequence[str]) -> alt.X:
    """Return the x axis over layers in model order, with slanted labels if they are many or long."""
    upright = len(names) <= 6 and max(map(len, names)) <= 8
    return alt.X(
        "layer:N",
        title=None,
        scale=alt.Scale(type="point", domain=list(names), padding=0.4),
        axis=alt.Axis(labelAngle=0 if upright else -40, labelOverlap=False),
    )


def top(layers: Iterable[Row]) -> float:
    """Return the end of the curves' common axis: 50 %, which exceeds any value for scores up to 1, or more."""
    highest = (
        value
        for layer in layers
        for factor in FACTORS
        for value in (layer["percent"][factor], *(interval(layer, "percent", factor) or ()))
        if value is not None
    )
    return max([50.0, *map(float, highest)])


def bars(layers: Sequence[Row]) -> alt.LayerChart:
    """Draw the share of each layer's units in each class (Eq. 3), with dead units apart from residual units."""
    chart = alt.Chart(alt.InlineData(values=_bar_rows(layers))).encode(
        y=alt.Y("layer:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
    )
    x = alt.X("start:Q", title="percent of units (Eq. 3)", scale=alt.Scale(domain=[0, 100]))
    colour = alt.Color("class:N", scale=class_scale(BAR_ORDER), title=None, legend=alt.Legend(orient="bottom"))
    light = alt.when("datum.class == 'residual' || datum.class == 'undefined'").then(alt.value("black"))
    return alt.LayerChart(
        layer=[
            chart.transform_filter("datum.class != 'undefined'")
            .mark_bar(stroke="white", strokeWidth=1)
            .encode(x=x, x2="end:Q", color=colour, order="order:O"),
            chart.transform_calculate(middle="(datum.start + datum.end) / 2")
            .mark_text(fontSize=11)
            .encode(x="middle:Q", text="text:N", color=light.otherwise(alt.value("white"))),
        ]
    )


def scatter(rows: Sequence[Row], threshold: float) -> alt.LayerChart:
    """Draw the units of one layer, static against dynamic score (Eq. 2), with lines at the threshold."""
    return _scatter(alt.InlineData(values=list(rows)), threshold, point_size(len(rows)) / 2)


def live_scatter() -> alt.LayerChart:
    """Draw the same from the data `units` and the parameters below, which the page sets."""
    chart = _scatter(alt.NamedData(name="units"), alt.ExprRef("threshold"), alt.ExprRef("size"))
    defaults = {"threshold": 0.5, "size": 45, "ink": "black"}
    return chart.add_params(*(alt.param(name=name, value=value) for name, value in defaults.items()))


def _scatter(
    data: alt.InlineData | alt.NamedData, threshold: float | alt.ExprRef, size: float | alt.ExprRef
) -> alt.LayerChart:
    """Draw points on fixed axes, with the classes named in the corners."""
    axis = alt.Axis(values=[-1, -0.5, 0, 0.5, 1], grid=True)
    scale = alt.Scale(domain=[-1, 1], nice=False)
    points = (
        alt.Chart(data)
        .mark_circle(size=size, opacity=0.6, aria=False)
        .encode(
            x=alt.X("static:Q", title="static score", scale=scale, axis=axis),
            y=alt.Y("dynamic:Q", title="dynamic score", scale=scale, axis=axis),
            color=alt.Color("class:N", scale=class_scale(BAR_ORDER), legend=None),
            tooltip=["unit:N", "class:N"]
            + [
                tip
                for factor in FACTORS
                for tip in (
                    alt.Tooltip(f"{factor}:Q", format=".3f"),
                    alt.Tooltip(f"{factor}_95:N", title=f"{factor}, 95 %"),
                )
            ],
        )
    )
    line = alt.Chart(alt.InlineData(values=[{}])).mark_rule(strokeDash=[4, 3], opacity=0.7, aria=False)
    at = alt.datum(threshold, type="quantitative")
    corners = {"dynamic": (-1, 1), "joint": (1, 1), "static": (1, -1), "residual": (-1, -1)}
    labels = [
        alt.Chart(alt.InlineData(values=[{"x": x, "y": y}]))
        .mark_text(
            text=name,
            align="left" if x < 0 else "right",
            baseline="bottom",
            dx=0 if y > 0 else -6 * x,
            dy=-6,
            fontSize=11,
            opacity=0.75,
            aria=False,
        )
        .encode(x="x:Q", y="y:Q")
        for name, (x, y) in corners.items()
    ]
    return alt.LayerChart(layer=[points, line.encode(x=at), line.encode(y=at), *labels])


def points(units: Sequence[Row], layer: str) -> list[Row]:
    """Return the scatter's rows for the units of one layer, without dead units."""
    return [
        {
            "unit": unit["unit"],
            "class": unit["label"],
            **{factor: unit[factor] for factor in FACTORS},
        }
        for unit in units
        if unit["layer"] == layer and unit["dynamic"] is not None and unit["static"] is not None
    ]


def point_size(units: int) -> float:
    """Return the area of a scatter's points, smaller for many points so that thousands remain distinct."""
    return min(45.0, max(9.0, 24_000 / (units + 1)))


def class_scale(names: Sequence[str]) -> alt.Scale:
    """Return the colour scale of factors or classes."""
    return alt.Scale(domain=list(names), range=[COLOURS[name] for name in names])


def _bar_rows(layers: Sequence[Row]) -> list[Row]:
    """Return one row per segment of a bar, or one row for an undefined layer."""
    rows: list[Row] = []
    for layer in layers:
        if not measurable(layer):
            text = "undefined: fewer than two pairs"
            rows.append({"layer": layer["name"], "class": "undefined", "start": 0, "end": 100, "text": text})
            continue
        start = 0.0
        for order, (name, count) in enumerate(bar_segments(layer).items()):
            end = start + 100 * count / layer["units"]
            text = share(count, layer["units"]) if end - start >= 8 else ""
            row = {
                "layer": layer["name"],
                "class": name,
                "order": order,
                "start": start,
                "end": end,
                "text": text,
            }
            rows.append(row)
            start = end
    return rows


def _curve_rows(layers: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return one row per layer and factor, with the text for tooltips and screen readers."""
    defined = [layer for layer in layers if layer["percent"]["dynamic"] is not None]
    last = defined[-1] if defined else None
    stream = streams([layer["name"] for layer in layers])
    rows = []
    for layer in layers:
        for factor, other in (("dynamic", "static"), ("static", "dynamic")):
            value, bounds = layer["percent"][factor], interval(layer, "percent", factor)
            above = layer is last and (value, factor) > (layer["percent"][other], other)
            rows.append(
                {
                    "layer": layer["name"],
                    "stream": stream[layer["name"]],
                    "factor": factor,
                    "percent": value,
                    "low": bounds and bounds[0],
                    "high": bounds and bounds[1],
                    "text": percent(value),
                    "interval": interval_text(bounds, 1),
                    "score": layer["scores"][factor],
                    "end": ("upper" if above else "lower") if layer is last else "",
                    "description": f"{layer['name']}, {factor}: {percent(value)} {interval_text(bounds, 1)}",
                }
            )
    return rows
