"""The figures of the studies, drawn from their JSON files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import altair as alt
import vl_convert

from benchmarks.studies.dose import DECORRELATED, SHUFFLED, SPECIALISED
from benchmarks.studies.remedies.figures import by_panel, remedies
from benchmarks.studies.study import Study
from sdmetrics._files import replacing
from sdmetrics.metrics.classes import UNIT_CLASSES
from sdmetrics.report.charts import COLOURS

GREY, LIGHT_GREY = "#7d838c", "#c3c7cd"


def _colour(field: str, colours: dict[str, str], title: str | None = None) -> alt.Color:
    """Return the colours of a chart, by the values that they represent."""
    return alt.Color(field, scale=alt.Scale(domain=list(colours), range=list(colours.values())), title=title)


FACTORS = _colour("factor:N", {factor: COLOURS[factor] for factor in ("dynamic", "static")})


def _with_intervals(study: Study) -> list[dict[str, Any]]:
    """Return the points with both ends of their intervals."""
    return [
        p | {"low": p["mean"] - (p["half_width"] or 0), "high": p["mean"] + (p["half_width"] or 0)}
        for p in study.points
    ]


def _curves(base: alt.Chart, x: alt.X, title: str, colour: alt.Color) -> alt.LayerChart:
    """Return lines with bands of their intervals."""
    line = base.mark_line(point=True).encode(x, alt.Y("mean:Q", title=title, scale=alt.Scale(zero=False)), colour)
    band = base.mark_area(opacity=0.15).encode(x, alt.Y("low:Q", title=title), alt.Y2("high:Q"), colour)
    return alt.layer(band, line).properties(width=170, height=150)


def architectures(study: Study) -> alt.Chart:
    """Percent of Eq. 1 over the layers of every network."""
    base = alt.Chart(alt.Data(values=_with_intervals(study)))
    chart = _curves(base, alt.X("layer:O", title="layer"), "percent (Eq. 1)", FACTORS)
    return chart.facet(facet=alt.Facet("network:N", title=None), columns=4)


def datasets(study: Study) -> alt.Chart:
    """Unit classes of the last layer by the labels in training."""
    return _unit_bars(study, "labels", "network")


def over_training(study: Study) -> alt.Chart:
    """Percent of Eq. 1 over the training."""
    base = alt.Chart(alt.Data(values=_with_intervals(study)))
    chart = _curves(base, alt.X("share:Q", title="percent of the training"), "percent (Eq. 1)", FACTORS)
    return chart.facet(row=alt.Row("layer:N", title=None), column=alt.Column("labels:N", title=None))


def removal(study: Study) -> alt.Chart:
    """Accuracy over the share of units removed."""
    colours = {"dynamic": COLOURS["dynamic"], "static": COLOURS["static"], "random": GREY, "least": LIGHT_GREY}
    colour = _colour("ranking:N", colours, "removed")
    points = [
        p | {"case": p["labels"] if p["labels"] == p["label"] else f"{p['labels']}: {p['label']}"}
        for p in _with_intervals(study)
    ]
    x = alt.X("removed:Q", title="percent of units removed")
    chart = _curves(alt.Chart(alt.Data(values=points)), x, "top-1", colour)
    return chart.facet(row=alt.Row("layer:N", title=None), column=alt.Column("case:N", title=None))


def dose(study: Study) -> alt.Chart:
    """The paper's two measures, and the accuracy where appearance does not predict the label, over the rate."""
    shown = [SPECIALISED, SHUFFLED, DECORRELATED]
    kinds = {"standard": GREY, "static": COLOURS["dynamic"]}
    points = [p for p in _with_intervals(study) if p["measure"] in shown]
    points = [q for p in points for q in ([p | {"kind": k} for k in kinds] if p["kind"] == "none" else [p])]
    chart = _curves(
        alt.Chart(alt.Data(values=points)),
        alt.X("rate:Q", title="rate r"),
        "percent",
        _colour("kind:N", kinds, "dropout"),
    )
    return chart.facet(facet=alt.Facet("measure:N", title=None, sort=shown), columns=3).resolve_scale(y="independent")


def fusion(study: Study) -> alt.HConcatChart:
    """Mean IoU of every variant, and the classes of the fusion layers' units."""
    overlaps = alt.Chart(alt.Data(values=[p for p in _with_intervals(study) if "measure" in p]))
    worlds = {"mean IoU, camouflaged": COLOURS["dynamic"], "mean IoU, visible": COLOURS["static"]}
    variant = alt.Y("variant:N", title=None, sort=None, axis=alt.Axis(labelLimit=260))
    colour = _colour("measure:N", worlds)
    bounds = overlaps.mark_rule().encode(alt.X("low:Q", title="percent"), alt.X2("high:Q"), variant, colour)
    dots = overlaps.mark_point(filled=True).encode(alt.X("mean:Q", scale=alt.Scale(zero=False)), variant, colour)
    units = alt.Chart(alt.Data(values=[p for p in study.points if "class" in p])).mark_bar()
    classes = units.encode(
        alt.X("mean:Q", title="percent of units (Eq. 3)", scale=alt.Scale(domain=[0, 100])),
        alt.Y("variant:N", title=None, sort=None, axis=None),
        _colour("class:N", {name: COLOURS[name] for name in UNIT_CLASSES}),
    )
    by_layer = classes.properties(width=110, height=180).facet(column=alt.Column("layer:N", title=None))
    return alt.hconcat(
        alt.layer(bounds, dots).properties(width=150, height=180), by_layer
    ).resolve_scale(color="independent")  # fmt: skip


def fusion_layers(study: Study) -> alt.VConcatChart:
    """Mean IoU over the share of units removed, and percent of Eq. 1 over the training."""
    points = _with_intervals(study)
    colours = {"dynamic": COLOURS["dynamic"], "static": COLOURS["static"], "least": GREY, "random": LIGHT_GREY}
    removed = alt.Chart(alt.Data(values=[p for p in points if "removed" in p]))
    x = alt.X("removed:Q", title="percent of units removed")
    places = {"row": alt.Row("variant:N", title=None), "column": alt.Column("layer:N", title=None)}
    curves = _curves(removed, x, "mean IoU, camouflaged", _colour("ranking:N", colours, "removed")).facet(**places)
    followed = alt.Chart(alt.Data(values=[p for p in points if "share" in p]))
    x = alt.X("share:Q", title="percent of the training")
    return alt.vconcat(
        curves, _curves(followed, x, "percent (Eq. 1)", FACTORS).facet(**places)
    ).resolve_scale(color="independent")  # fmt: skip


def segmentation_data(study: Study) -> alt.Chart:
    """Unit classes of the fusion layers by training set."""
    return _unit_bars(study, "set", "layer")


def instances(study: Study) -> alt.Chart:
    """Percent of Eq. 1 over the layers, by training set."""
    base = alt.Chart(alt.Data(values=_with_intervals(study)))
    chart = _curves(base, alt.X("layer:N", title=None, sort=None), "percent (Eq. 1)", FACTORS)
    return chart.facet(column=alt.Column("set:N", title=None))


def _unit_bars(study: Study, bar: str, panel: str) -> alt.Chart:
    """Draw the classes of units: a bar for each value of the field `bar`, a panel for each value of `panel`."""
    bars = alt.Chart(alt.Data(values=study.points)).mark_bar()
    colour = _colour("class:N", {name: COLOURS[name] for name in UNIT_CLASSES})
    return (
        bars.encode(alt.X("mean:Q", title="percent of units (Eq. 3)"), alt.Y(f"{bar}:N", title=None, sort=None), colour)
        .properties(width=260)
        .facet(row=alt.Row(f"{panel}:N", title=None))
    )


DRAWN: dict[str, Callable[[Study], Any]] = {
    "architectures": architectures,
    "datasets": datasets,
    "over_training": over_training,
    "removal": removal,
    "dose": dose,
    "fusion": fusion,
    "fusion_layers": fusion_layers,
    "segmentation_data": segmentation_data,
    "instances": instances,
    "remedies": remedies,
    "remedies_networks": by_panel,
    "remedies_worlds": by_panel,
}


def draw(study: Study, folder: Path) -> Path:
    """Write the figure of a study as PNG."""
    image = vl_convert.vegalite_to_png(DRAWN[study.name](study).to_json(), ppi=110)
    with replacing(folder / f"{study.name}.png") as path:
        path.write_bytes(image)
    return folder / f"{study.name}.png"
