"""The report of a comparison: one offline page, and static figures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics._files import replacing
from sdmetrics.errors import require
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.report.figures import INK, save_charts
from sdmetrics.report.html import render_page, spec

if TYPE_CHECKING:
    import altair as alt

    from sdmetrics.comparison.compare import Comparison

APART: dict[str, Any] = {"color": "independent", "shape": "independent", "strokeDash": "independent"}
"""Charts in one figure have their own legends, as a colour may mean different things in them."""

COLUMNS = 4
"""The number of layers side by side in a figure."""


def write_comparison(comparison: Comparison, path: str | Path) -> Path:
    """Write an HTML page that works offline and compares runs: over training, and layers against layers.

    Parameters
    ----------
    comparison
        See `sdmetrics.comparison.compare.compare`.
    path
        The file to write.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If the file cannot be written.
    MissingExtra
        Without Altair, vl-convert or Jinja2.

    Examples
    --------
    >>> import tempfile
    >>> from sdmetrics.comparison.compare import compare
    >>> from sdmetrics.report.example import example_run
    >>> run = example_run()
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_comparison(compare({"net": {0: run, 10: run}}), Path(folder) / "compare.html").read_text()
    >>> "net leans dynamic" in page
    True
    """
    require("altair", extra="report")
    from sdmetrics.report import charts

    drawn = _charts(comparison)
    html = render_page(
        "comparison.html",
        "comparison.js",
        comparison=comparison,
        places={place: number for number, place in enumerate(drawn)},
        factors=FACTORS,
        data={
            "config": charts.theme("currentColor"),
            "charts": [spec(chart.properties(width="container", height=220)) for chart in drawn.values()],
        },
    )
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(html.encode())
    return Path(path)


def write_comparison_figures(comparison: Comparison, folder: str | Path) -> list[Path]:
    """Write the charts of the page to `folder`, each as PNG and SVG, without a browser.

    Returns
    -------
    list of Path
        `training` for runs of several steps, `layers` and `last-layers` for several runs.

    Raises
    ------
    InputError
        If the folder cannot be written to.
    MissingExtra
        Without Altair or vl-convert.

    Examples
    --------
    >>> from sdmetrics.comparison.compare import Comparison
    >>> write_comparison_figures(Comparison({}, [], [], []), "figures")
    []
    """
    require("altair", extra="report")
    return save_charts(dict(comparison_figures(comparison)), folder)


def _charts(comparison: Comparison) -> dict[tuple[str, ...], alt.LayerChart | alt.Chart]:
    """Return the charts by content: (run, layer, kind), ("layers", factor), or ("last",)."""
    from sdmetrics.report import charts, comparison_charts

    drawn: dict[tuple[str, ...], alt.LayerChart | alt.Chart] = {}
    top = comparison_charts.highest(comparison.rows)
    for name, points in comparison.trained.items():
        for layer in points[-1].results.layers:
            rows = [row for row in comparison.rows if (row["run"], row["layer"]) == (name, layer["name"])]
            drawn[name, layer["name"], "percent"] = comparison_charts.over_steps(rows, top)
            drawn[name, layer["name"], "classes"] = comparison_charts.classes_over_steps(rows)
    if len(comparison.series) > 1:
        ends = {name: points[-1].step for name, points in comparison.series.items()}
        rows = [row for row in comparison.rows if row["step"] == ends[row["run"]]]
        for factor in FACTORS:
            drawn["layers", factor] = comparison_charts.across_layers(rows, factor, top)
        deepest = [{**results.layers[-1], "name": name} for name, results in comparison.finals.items()]
        drawn["last",] = charts.bars(deepest)
    return drawn


def comparison_figures(
    comparison: Comparison,
) -> Iterator[tuple[str, alt.VConcatChart | alt.HConcatChart | alt.LayerChart]]:
    """Yield the figures with their file names."""
    import altair as alt

    from sdmetrics.report import charts

    look: dict[str, Any] = {**charts.theme(INK), "background": "white"}
    drawn = _charts(comparison)
    if comparison.trained:
        grids = []
        for name, points in comparison.trained.items():
            panels = [
                alt.vconcat(
                    drawn[name, layer["name"], "percent"].properties(title=layer["name"], width=220, height=180),
                    drawn[name, layer["name"], "classes"].properties(width=220, height=120),
                ).resolve_scale(**APART)
                for layer in points[-1].results.layers
            ]
            grid = alt.concat(*panels, columns=COLUMNS, title=alt.Title(name, fontSize=16, offset=14))
            grids.append(grid.resolve_scale(**APART))
        yield "training", alt.vconcat(*grids, config=look).resolve_scale(**APART)
    if len(comparison.series) > 1:
        panels = [drawn["layers", factor].properties(title=factor, width=360, height=240) for factor in FACTORS]
        yield "layers", alt.hconcat(*panels, config=look)
        yield "last-layers", alt.hconcat(drawn["last",].properties(title="last layers", width=360), config=look)
