"""The static figures, as PNG and SVG, drawn without a browser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics._files import replacing
from sdmetrics._text import printable_values
from sdmetrics.errors import require
from sdmetrics.report.renderer import chart_renderer
from sdmetrics.report.words import named_runs, removal_charts, score_name

if TYPE_CHECKING:
    import altair as alt

    from sdmetrics.ablation.result import Ablation
    from sdmetrics.analysis.results import Results

CURVES_NOTE = ["Bands: 95 % intervals. Dotted: both scores 0 (21.2 %) or", "both 1 (33.3 %)."]
REMOVAL_NOTE = ["Bands: range from the lowest to the highest draw."]
INK = "#24282d"
LONGEST_TEXT = 400
"""The number of characters that are drawn of a text; to place one of thousands takes the renderer minutes."""
PNG_PPI = 144
"""Twice the resolution of a screen, sharp in print."""


def write_figures(
    runs: Mapping[str, Results] | Sequence[Results],
    folder: str | Path,
    ablations: Mapping[str, Ablation] | None = None,
) -> list[Path]:
    """Write the layer-wise curves, unit-wise bars and unit scatters to `folder`, each as PNG and SVG.

    Parameters
    ----------
    runs
        The runs by name. Runs in a list get the names of their models.
    folder
        The folder to write to. It is created if missing.
    ablations
        The ablations of some of the runs, by the same names.

    Returns
    -------
    list of Path
        `layer-wise`, `unit-wise`, `unit-scatter` and, with ablations, `unit-removal`, each with `.png` and `.svg`.

    Raises
    ------
    InputError
        If there are no runs, a run has no layers, or the folder cannot be written to.
    MissingExtra
        Without Altair or vl-convert.

    Examples
    --------
    >>> write_figures([], "figures")
    Traceback (most recent call last):
    sdmetrics.errors.InputError: there are no runs; a report needs at least one
    """
    named = named_runs(runs)
    require("altair", extra="report")
    return save_charts(_figures(named, ablations or {}), folder)


def save_charts(charts: Mapping[str, alt.TopLevelMixin], folder: str | Path) -> list[Path]:
    """Write each chart to `folder` under its name, as PNG and SVG. Return the files."""
    written = []
    for name, chart in charts.items():
        for suffix, drawing in ((".png", drawn_png(chart)), (".svg", drawn_svg(chart))):
            path = Path(folder) / f"{name}{suffix}"
            with replacing(path) as temporary:
                temporary.write_bytes(drawing)
            written.append(path)
    return written


def drawn_png(chart: alt.TopLevelMixin) -> bytes:
    """Return a chart as a PNG image."""
    png: bytes = chart_renderer().vegalite_to_png(**_drawable(chart), ppi=PNG_PPI)
    return png


def drawn_svg(chart: alt.TopLevelMixin) -> bytes:
    """Return a chart as an SVG image."""
    svg: str = chart_renderer().vegalite_to_svg(**_drawable(chart))
    return svg.encode()


def _drawable(chart: alt.TopLevelMixin) -> dict[str, Any]:
    """Return what the renderer draws of a chart.

    A control character in a text would abort the process: the renderer draws from SVG, which cannot hold any.
    """
    import altair as alt

    version = alt.SCHEMA_VERSION.rpartition(".")[0]
    return {"vl_spec": printable_values(chart.to_dict(), LONGEST_TEXT), "vl_version": version}


def _figures(
    runs: Mapping[str, Results], ablations: Mapping[str, Ablation]
) -> dict[str, alt.HConcatChart | alt.VConcatChart]:
    """Return the figures by file name. Runs are side by side, in the scatter one below the other."""
    import altair as alt

    from sdmetrics.report import charts
    from sdmetrics.report.ablation_chart import removal_chart

    look: dict[str, Any] = {**charts.theme(INK), "background": "white"}
    top = charts.top(layer for run in runs.values() for layer in run.layers)
    layer_wise = [
        charts.curves(run.layers, top).properties(
            title=alt.Title(name, subtitle=CURVES_NOTE), width=max(320, 26 * len(run.layers)), height=260
        )
        for name, run in runs.items()
    ]
    unit_wise = [charts.bars(run.layers).properties(title=name, width=320) for name, run in runs.items()]
    clouds = [
        alt.concat(
            *(
                charts.scatter(charts.points(run.units, layer["name"]), run.threshold).properties(
                    title=layer["name"], width=200, height=200
                )
                for layer in run.layers
            ),
            columns=5,
            title=alt.Title(name, fontSize=16, offset=14),
        )
        for name, run in runs.items()
    ]
    figures: dict[str, alt.HConcatChart | alt.VConcatChart] = {
        "layer-wise": alt.hconcat(*layer_wise, config=look),
        "unit-wise": alt.hconcat(*unit_wise, config=look),
        "unit-scatter": alt.vconcat(*clouds, config=look),
    }
    if ablations:
        removals = [
            alt.hconcat(
                *(
                    removal_chart(*which).properties(title=f"{which[1]}, {score_name(which[2])}", width=320, height=240)
                    for which in removal_charts(ablation)
                ),
                title=alt.Title(name, fontSize=16, offset=14, subtitle=REMOVAL_NOTE),
            )
            for name, ablation in ablations.items()
        ]
        figures["unit-removal"] = alt.vconcat(*removals, config=look)
    return figures
