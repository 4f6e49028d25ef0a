"""The figures of the studies of remedies, drawn from their JSON files."""

from __future__ import annotations

from typing import Any

import altair as alt

from benchmarks.studies.remedies.arms import CEILING, EVERY_FOURTH, LONGER, NONE, STYLES
from benchmarks.studies.remedies.comparison import APPEARANCE, DYNAMIC_UNITS, MOTION, STATIC_UNITS, TOP1
from benchmarks.studies.study import Study
from sdmetrics.report.charts import COLOURS

GREY, DARK = "#7d838c", "#3b3f46"
DROPOUT, LOSS, LOOKS, COMBINATION = "dropout", "loss on shuffled frames", "random looks", "combination"
ONLY_LONGER = "only longer"
KINDS = {
    DROPOUT: COLOURS["static"],
    ONLY_LONGER: GREY,
    LOSS: COLOURS["dynamic"],
    LOOKS: COLOURS["joint"],
    COMBINATION: DARK,
}
NAMED = ("r², λ = 3", "styles + entropy")
"""Arms whose names are beside their points: that of the largest gain, and one that only looks like it."""
SHOWN = {TOP1: DARK, MOTION: COLOURS["dynamic"], APPEARANCE: COLOURS["static"]}


def remedies(study: Study) -> alt.HConcatChart:
    """Accuracy and probes by arm, and what the metric reports beside what the model does."""
    return alt.hconcat(_by_arm(study), _agreement(study)).resolve_scale(color="independent", shape="independent")


def by_panel(study: Study) -> alt.Chart:
    """Accuracy and probes by arm, for each network or world."""
    panel = "network" if any("network" in point for point in study.points) else "world"
    return (
        _by_arm(study)
        .facet(facet=alt.Facet(f"{panel}:N", title=None, sort=None), columns=2)
        .resolve_scale(y="independent")
    )


def _by_arm(study: Study) -> alt.LayerChart:
    """Draw three measures of every arm, with their intervals."""
    points = [
        p | {"low": p["mean"] - (p["half_width"] or 0), "high": p["mean"] + (p["half_width"] or 0)}
        for p in study.points
        if p.get("measure") in SHOWN
    ]
    base = alt.Chart(alt.Data(values=points))
    arm = alt.Y("arm:N", title=None, sort=None, axis=alt.Axis(labelLimit=260))
    colour = alt.Color("measure:N", title=None, scale=alt.Scale(domain=[*SHOWN], range=[*SHOWN.values()]))
    bounds = base.mark_rule().encode(alt.X("low:Q", title="percent"), alt.X2("high:Q"), arm, colour)
    dots = base.mark_point(filled=True, size=45).encode(alt.X("mean:Q", scale=alt.Scale(zero=False)), arm, colour)
    return alt.layer(bounds, dots).properties(width=280)


def _agreement(study: Study) -> alt.LayerChart:
    """Draw the change of dynamic − static units beside that of the accuracy without the shortcut."""
    points = [row for row in _changes(study) if row["arm"] not in (NONE, CEILING)]
    base = alt.Chart(alt.Data(values=points))
    x = alt.X("units:Q", title="change of dynamic − static units, points")
    y = alt.Y("top1:Q", title="change of top-1 without the shortcut, points")
    kinds = alt.Scale(domain=[*KINDS], range=[*KINDS.values()])
    dots = base.mark_point(filled=True, size=60).encode(x, y, alt.Color("kind:N", title=None, scale=kinds))
    named = base.transform_filter(alt.FieldOneOfPredicate("arm", [*NAMED])).mark_text(dx=-7, align="right")
    return alt.layer(dots, named.encode(x, y, alt.Text("arm:N"))).properties(width=380, height=330)


def _kind(arm: str) -> str:
    """Return what an arm does, as the legend names it."""
    if "ropout" in arm:
        return DROPOUT
    if arm == LONGER:
        return ONLY_LONGER
    if "+" in arm or arm == EVERY_FOURTH:
        return COMBINATION
    return LOOKS if arm == STYLES else LOSS


def _changes(study: Study) -> list[dict[str, Any]]:
    """Return the changes from the untreated arm, by arm."""
    change = {(p["arm"], p["measure"]): p["difference"]["mean"] for p in study.points if "measure" in p}
    return [
        {
            "arm": arm,
            "kind": _kind(arm),
            "units": change[arm, DYNAMIC_UNITS] - change[arm, STATIC_UNITS],
            "top1": change[arm, TOP1],
        }
        for arm, measure in change
        if measure == TOP1
    ]
