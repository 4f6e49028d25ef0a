"""The charts, as Altair builds them: the page feeds and embeds the same ones that the static figures show."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import altair as alt

from sdmetrics.report.words import CLASSES, interval, interval_text, parts, percent, share

COLOURS = {
    "dynamic": "#2f7bbd",
    "joint": "#7f50b5",
    "static": "#c8452f",
    "residual": "#a3a7ad",
    "dead": "#6d7178",
}
"""By class; each stands out on white and on black. Labels, shapes and patterns say the same without colour."""

NOTHING, ALL = 100 / (2 + math.e), 100 / 3
"""Eq. 1 of the scores (0, 0) and (1, 1): where both curves lie when a layer shares nothing, or all."""

Row = dict[str, Any]


def theme(ink: str) -> Row:
    """Return the Vega configuration that all charts share, with text and lines in the colour `ink`."""
    return {
        "background": "transparent",
        "font": "system-ui, -apple-system, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif",
        "view": {"stroke": None},
        "axis": {
            "labelColor": ink, "titleColor": ink, "domainColor": ink, "tickColor": ink, "gridColor": ink,
            "labelOpacity": 0.75, "titleOpacity": 0.75, "gridOpacity": 0.1, "domainOpacity": 0.3, "tickOpacity": 0.3,
            "labelFontSize": 12, "titleFontSize": 12, "titleFontWeight": "normal", "titlePadding": 10,
            "labelLimit": 320, "labelPadding": 5,
        },
        "axisX": {"grid": False},
        "title": {"color": ink, "fontSize": 14, "fontWeight": 600, "anchor": "start", "limit": 420, "subtitleColor": ink, "subtitleFontSize": 11},
        "header": {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "labelLimit": 320},
        "legend": {"labelColor": ink, "titleColor": ink, "labelFontSize": 12, "symbolType": "square"},
        "text": {"color": ink, "fontSize": 12},
        "rule": {"color": ink},
    }  # fmt: skip


def curves(layers: Sequence[Row], top: float = 50) -> alt.LayerChart:
    """Draw the layer-wise percents (Eq. 1) over the layers in model order, with their 95 % intervals.

    Dotted lines show where both curves lie when both scores are 0 (21.2 %) or 1 (33.3 %).
    """
    names = [layer["name"] for layer in layers]
    upright = len(names) <= 6 and max(map(len, names)) <= 8
    x = alt.X(
        "layer:N",
        title=None,
        scale=alt.Scale(type="point", domain=names, padding=0.4),
        axis=alt.Axis(labelAngle=0 if upright else -40, labelOverlap=False),
    )
    y = alt.Y(
        "percent:Q",
        title="percent of units (Eq. 1)",
        scale=alt.Scale(domain=[0, top]),
        axis=alt.Axis(tickCount=6),
    )
    colour = alt.Color("factor:N", scale=_scale(("dynamic", "static")), legend=None)
    factor = alt.Chart(alt.Data(values=_curve_rows(layers))).encode(x=x, color=colour)
    known = "isValid(datum.percent)"
    bounded = factor.transform_filter("isValid(datum.low)").encode(y=alt.Y("low:Q"), y2="high:Q")
    marks = factor.encode(
        y=y,
        tooltip=["layer:N", "factor:N", "text:N", "interval:N", alt.Tooltip("score:Q", format=".3f")],
        description=alt.Description("description:N"),
    )
    guides = alt.Chart(alt.Data(values=[{"percent": NOTHING}, {"percent": ALL}])).encode(y=y)
    return alt.layer(
        guides.mark_rule(strokeDash=[2, 3], opacity=0.4, aria=False),
        bounded.mark_area(opacity=0.14, aria=False),
        bounded.mark_rule(strokeWidth=1.5, opacity=0.8, aria=False),
        marks.mark_line(strokeWidth=2, aria=False).encode(
            strokeDash=_by_factor("strokeDash", [1, 0], [6, 3])
        ),
        marks.transform_filter(known)
        .mark_point(size=55, filled=True, opacity=1)
        .encode(shape=_by_factor("shape", "circle", "square")),
        *(
            marks.transform_filter(f"datum.end == '{baseline}'")
            .mark_text(align="left", dx=9, dy=dy, fontWeight=600, aria=False)
            .encode(text="factor:N")
            for baseline, dy in (("upper", -7), ("lower", 8))
        ),
    )


def top(layers: Iterable[Row]) -> float:
    """Return where the curves' common axis ends: at 50 %, above what scores up to 1 can give, or higher if need be."""
    highest = (
        value
        for layer in layers
        for factor in ("dynamic", "static")
        for value in (layer["percent"][factor], *(interval(layer, "percent", factor) or ()))
        if value is not None
    )
    return max([50.0, *highest])


def bars(layers: Sequence[Row]) -> alt.LayerChart:
    """Draw what share of each layer's units is in each class (Eq. 3), the dead apart from the other residual ones."""
    rows = []
    for layer in layers:
        start = 0.0
        for order, (name, count) in enumerate(parts(layer).items()):
            width = 100 * count / layer["units"] if count else 0.0
            rows.append(
                {
                    "layer": layer["name"],
                    "class": name,
                    "order": order,
                    "start": start,
                    "end": start + width,
                    "text": share(count, layer["units"]) if width >= 8 else "",
                }
            )
            start += width
    chart = alt.Chart(alt.Data(values=rows)).encode(
        y=alt.Y("layer:N", title=None, sort=None, axis=alt.Axis(domain=False, ticks=False)),
        x=alt.X("start:Q", title="percent of units (Eq. 3)", scale=alt.Scale(domain=[0, 100])),
        x2="end:Q",
    )
    return alt.layer(
        chart.mark_bar(stroke="white", strokeWidth=1).encode(
            color=alt.Color("class:N", scale=_scale(CLASSES), title=None, legend=alt.Legend(orient="bottom")),
            order="order:O",
        ),
        chart.transform_calculate(middle="(datum.start + datum.end) / 2")
        .mark_text(fontSize=11)
        .encode(
            x="middle:Q",
            x2=alt.Undefined,
            text="text:N",
            color=alt.when("datum.class == 'residual'")
            .then(alt.value("black"))
            .otherwise(alt.value("white")),
        ),
    )


def scatter(rows: Sequence[Row], threshold: float) -> alt.LayerChart:
    """Draw the units of one layer, static against dynamic score (Eq. 2), with lines at the threshold."""
    return _scatter(alt.Data(values=list(rows)), threshold, point_size(len(rows)))


def live_scatter() -> alt.LayerChart:
    """Draw the same with the data `units` and the parameters `threshold` and `size`, all of which the page sets."""
    threshold, size = alt.param(name="threshold", value=0.5), alt.param(name="size", value=45)
    chart = _scatter(alt.NamedData(name="units"), alt.ExprRef("threshold"), alt.ExprRef("size"))
    return chart.add_params(threshold, size)


def _scatter(data: Any, threshold: float | alt.ExprRef, size: float | alt.ExprRef) -> alt.LayerChart:
    axis = alt.Axis(values=[-1, -0.5, 0, 0.5, 1], grid=True)
    scale = alt.Scale(domain=[-1, 1], nice=False)
    points = (
        alt.Chart(data)
        .mark_circle(size=size, opacity=0.6, aria=False)
        .encode(
            x=alt.X("static:Q", title="static score", scale=scale, axis=axis),
            y=alt.Y("dynamic:Q", title="dynamic score", scale=scale, axis=axis),
            color=alt.Color("class:N", scale=_scale(CLASSES), legend=None),
            tooltip=["unit:N", "class:N"]
            + [
                tip
                for factor in ("dynamic", "static")
                for tip in (
                    alt.Tooltip(f"{factor}:Q", format=".3f"),
                    alt.Tooltip(f"{factor}_95:N", title="95 %"),
                )
            ],
        )
    )
    line = alt.Chart(alt.Data(values=[{}])).mark_rule(strokeDash=[4, 3], opacity=0.7, aria=False)
    at = alt.datum(threshold, type="quantitative")
    corners = alt.Chart(
        alt.Data(
            values=[
                {"x": -1, "y": 1, "text": "dynamic"},
                {"x": 1, "y": 1, "text": "joint"},
                {"x": 1, "y": -1, "text": "static"},
                {"x": -1, "y": -1, "text": "residual"},
            ]
        )
    ).encode(x="x:Q", y="y:Q", text="text:N")
    labels = [
        corners.transform_filter(f"datum.x == {x} && datum.y == {y}").mark_text(
            align="left" if x < 0 else "right",
            baseline="bottom",
            dx=-6 * x if y < 0 else 0,
            dy=-6,
            fontSize=11,
            opacity=0.75,
            aria=False,
        )  # fmt: skip
        for x, y in ((-1, 1), (1, 1), (1, -1), (-1, -1))
    ]
    return alt.layer(points, line.encode(x=at), line.encode(y=at), *labels)


def points(units: Sequence[Row], layer: str) -> list[Row]:
    """Return the scatter's rows for the units of one layer; dead units have no place in it."""
    return [
        {
            "unit": unit["unit"],
            "class": unit["label"],
            **{factor: unit[factor] for factor in ("dynamic", "static")},
        }
        for unit in units
        if unit["layer"] == layer and unit["dynamic"] is not None and unit["static"] is not None
    ]


def point_size(units: int) -> float:
    """Return the area of a scatter's points: smaller the more there are, so that thousands stay apart."""
    return min(45.0, max(9.0, 24_000 / (units + 1)))


def _scale(names: Sequence[str]) -> alt.Scale:
    return alt.Scale(domain=list(names), range=[COLOURS[name] for name in names])


def _by_factor(channel: str, dynamic: Any, static: Any) -> Any:
    """Return an encoding that tells the factors apart without colour."""
    kind = {"strokeDash": alt.StrokeDash, "shape": alt.Shape}[channel]
    return kind(
        "factor:N", scale=alt.Scale(domain=["dynamic", "static"], range=[dynamic, static]), legend=None
    )


def _curve_rows(layers: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return one row per layer and factor, with the text that tooltips and screen readers give."""
    defined = [layer for layer in layers if layer["percent"]["dynamic"] is not None]
    last = defined[-1] if defined else None
    rows = []
    for layer in layers:
        for factor, other in (("dynamic", "static"), ("static", "dynamic")):
            value, bounds = layer["percent"][factor], interval(layer, "percent", factor)
            above = layer is last and (value, factor) > (layer["percent"][other], other)
            rows.append(
                {
                    "layer": layer["name"],
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
