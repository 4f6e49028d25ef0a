"""The figure of counterfactual inference: accuracy over the weight with which shuffled predictions are subtracted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sdmetrics.errors import require
from sdmetrics.report.figures import INK, save_charts
from sdmetrics.report.words import known


def write_counterfactual_figure(name: str, counterfactual: Mapping[str, Any], folder: str | Path) -> list[Path]:
    """Draw top-1 over α, with its 95 % interval and the chosen α, to `counterfactual.png` and `.svg` in `folder`.

    Parameters
    ----------
    name
        Name of the model.
    counterfactual
        Of an evaluation, see `sdmetrics.evaluation.counterfactual.counterfactual_of`.
    folder
        The folder to write to. It is created if missing.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    MissingExtra
        Without Altair or vl-convert.
    """
    alt: Any = require("altair", extra="report")
    from sdmetrics.report.charts import theme

    rows = []
    for point in counterfactual["curve"]:
        top1 = point["top1"]
        bounds = known(top1["ci95"])
        low, high = (None, None) if bounds is None else (100 * bounds[0], 100 * bounds[1])
        rows.append({"alpha": point["alpha"], "top1": 100 * top1["value"], "low": low, "high": high})
    title = "top-1 accuracy, percent"
    chart = alt.Chart(alt.InlineData(values=rows)).encode(
        x=alt.X("alpha:Q", title="α, the weight of shuffled frames"),
        y=alt.Y("top1:Q", title=title, scale=alt.Scale(domain=[0, 100])),
    )
    here = alt.Chart(alt.InlineData(values=[{"alpha": counterfactual["alpha"]}])).encode(x="alpha:Q")
    layers = alt.layer(
        chart.mark_area(opacity=0.16, aria=False).encode(y=alt.Y("low:Q", title=title), y2="high:Q"),
        here.mark_rule(strokeDash=[4, 3], aria=False),
        chart.mark_line(strokeWidth=2, point=True),
    ).properties(
        width=420,
        height=260,
        title=alt.Title(
            name, subtitle=f"log p(clip) − α · log p(shuffled clip), {counterfactual['shuffles']} shuffles"
        ),
        config={**theme(INK), "background": "white"},
    )
    return save_charts({"counterfactual": layers}, folder)
