"""The chart of a unit: its responses to the first view against those to the other two, one point per clip."""

from __future__ import annotations

from typing import Any

import altair as alt

from sdmetrics.report.charts import COLOURS

AXES = (
    ("dynamic", "second", "response to view 2 (other style)"),
    ("static", "third", "response to view 3 (other motion)"),
)


def response_scatters() -> alt.HConcatChart:
    """Draw both scatters from the data `clips`, which the page sets: `first`, `second`, `third`, `clip`, `kind`."""
    plain = "datum.kind == 'clip'"
    shown: dict[str, Any] = {
        "shape": alt.Shape(
            "kind:N",
            scale=alt.Scale(domain=["clip", "highest", "lowest"], range=["circle", "triangle-up", "triangle-down"]),
            legend=alt.Legend(orient="bottom", title=None),
        ),
        "size": alt.condition(plain, alt.value(40), alt.value(110)),
        "strokeWidth": alt.condition(plain, alt.value(0), alt.value(2)),
    }
    axis = alt.Axis(tickCount=5, labelOverlap=True)
    data = alt.NamedData(name="clips")
    both: alt.HConcatChart = alt.hconcat(
        *(
            alt.Chart(data, title=f"{factor} pair", width=250, height=250)
            .mark_point(filled=True, opacity=0.75, color=COLOURS[factor], stroke="currentColor", aria=False)
            .encode(
                x=alt.X("first:Q", title="response to view 1", scale=alt.Scale(zero=False), axis=axis),
                y=alt.Y(f"{view}:Q", title=title, scale=alt.Scale(zero=False), axis=axis),
                tooltip=["clip:N", "label:N", "first:Q", f"{view}:Q"],
                **shown,
            )
            for factor, view, title in AXES
        )
    ).resolve_scale(y="shared")
    return both
