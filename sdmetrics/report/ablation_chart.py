"""The chart of an ablation, as in Fig. 11 of the paper: the score over the share of removed units, by ranking."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import altair as alt

from sdmetrics.report.charts import COLOURS
from sdmetrics.report.words import interval_text, known, number, removal_table, score_name

if TYPE_CHECKING:
    from sdmetrics.ablation.result import Ablation

LOOKS = {
    "dynamic": (COLOURS["dynamic"], [1, 0], "circle"),
    "static": (COLOURS["static"], [6, 3], "square"),
    "random": (COLOURS["residual"], [1, 0], "diamond"),
    "least": ("#4f8a5b", [2, 2], "triangle-up"),
}
"""Colour, dashes and shape by ranking, each of which is distinct."""


def removal_chart(ablation: Ablation, layer: str, score: str) -> alt.LayerChart:
    """Draw one score against the removed units of one layer, with bands from the lowest to the highest draw."""
    rows = _rows(ablation, layer, score)
    rankings = list(dict.fromkeys(row["ranking"] for row in rows))
    colours, dashes, shapes = (
        alt.Scale(domain=rankings, range=[LOOKS[name][which] for name in rankings]) for which in range(3)
    )
    legend = alt.Legend(title=None, orient="bottom", symbolSize=120, symbolOpacity=1, symbolStrokeWidth=0)
    x = alt.X("removed:Q", title=f"percent of {layer}’s units removed", scale=alt.Scale(domain=[0, 100]))
    chart = alt.Chart(alt.InlineData(values=rows)).encode(x=x)
    colour = alt.Color("ranking:N", scale=colours, legend=legend)
    mean = alt.Y("mean:Q", title=score_name(score), scale=alt.Scale(zero=True))
    lines = chart.encode(
        y=mean,
        tooltip=["ranking:N", "removed:Q", "units:Q", "score:N", "interval:N", "draws:N"],
        description=alt.Description("description:N"),
    )
    return alt.LayerChart(
        layer=[
            chart.mark_area(opacity=0.16, aria=False).encode(
                y=alt.Y("lowest:Q", title=score_name(score)), y2="highest:Q", color=colour
            ),
            lines.mark_line(strokeWidth=2, aria=False).encode(
                color=colour, strokeDash=alt.StrokeDash("ranking:N", scale=dashes, legend=legend)
            ),
            lines.mark_point(size=45, filled=True, opacity=1).encode(
                color=colour, shape=alt.Shape("ranking:N", scale=shapes, legend=legend)
            ),
        ]
    )


def _rows(ablation: Ablation, layer: str, score: str) -> list[dict[str, Any]]:
    """Return one row per point, with the text for tooltips and screen readers."""
    rows = []
    for line in removal_table(ablation, layer, score):
        removed = 100 * line["fraction"]
        for ranking, point in line["curves"].items():
            interval = interval_text(known(point["ci95"]))
            reading = f"{score_name(score)} {number(point['mean'])}"
            draws = f"{number(point['lowest'])} to {number(point['highest'])} over {point['draws']} draws"
            rows.append(
                {
                    "ranking": ranking,
                    "removed": removed,
                    "units": point["removed"],
                    **{key: point[key] for key in ("mean", "lowest", "highest")},
                    "score": reading,
                    "interval": interval,
                    "draws": draws if point["draws"] > 1 else "one draw",
                    "description": f"{ranking}, {removed:.3g} % removed: {reading} {interval}",
                }
            )
    return rows
