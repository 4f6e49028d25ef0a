"""How a notebook shows results: tables, and charts as images; nothing is loaded from a network and no script runs."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape as html_escape
from typing import TYPE_CHECKING, Any

from sdmetrics._shown import chart, html
from sdmetrics._text import printable
from sdmetrics.ablation.result import Ablation
from sdmetrics.analysis.results import Results
from sdmetrics.comparison.compare import Comparison
from sdmetrics.errors import MissingExtra, require
from sdmetrics.metrics.classes import COUNTS, FACTORS
from sdmetrics.report import words
from sdmetrics.report.figures import INK, drawn_svg

if TYPE_CHECKING:
    import altair as alt

MOST_ROWS = 100
"""Of a table in a notebook."""

Cells = Sequence[object]


@chart.register
def plot_layers(run: Results) -> Any:  # noqa: ANN401  Altair is optional
    """Return the report's chart of the layers."""
    require("altair", extra="report")
    from sdmetrics.report import charts

    layers = next(iter(words.named_runs([run]).values())).layers
    return charts.curves(layers, charts.top(layers)).properties(
        width=max(320, 26 * len(layers)), height=260, config={**charts.theme(INK), "background": "white"}
    )


@html.register
def show_results(run: Results) -> str:
    """Return the table and the chart of the layers."""
    title = run.model.get("name") or "model"
    counted = f"{run.clips['used']} clips used, {len(run.clips['skipped'])} skipped"
    if not run.layers:
        return _shown(f"{title}: no layers, {counted}", [])
    head = ["layer", "units", *(f"{factor} %" for factor in FACTORS), *COUNTS]
    rows = [
        [
            layer["name"],
            layer["units"],
            *(_percent(layer["percent"][f], words.interval(layer, "percent", f)) for f in FACTORS),
            *(layer["counts"][label] for label in COUNTS),
        ]
        for layer in run.layers
    ]
    return _shown(
        words.headline({str(title): run}),
        [_table(head, rows, f"percent of units (Eq. 1), units by class (Eq. 3) at λ = {run.threshold:.4g}; {counted}")],
        lambda: [("layer-wise percents", plot_layers(run))],
    )


@html.register
def show_comparison(comparison: Comparison) -> str:
    """Return the rows and the charts of a comparison."""
    from sdmetrics.report.comparison import comparison_figures

    rows = [
        [
            *(row["run"], "" if row["step"] is None else row["step"], row["layer"], row["units"]),
            *(
                _percent(row[f"percent_{f}"], words.known((row[f"percent_{f}_low"], row[f"percent_{f}_high"])))
                for f in FACTORS
            ),
            *(row[f"units_{label}"] for label in COUNTS),
        ]
        for row in comparison.rows
    ]
    head = ["run", "step", "layer", "units", *(f"{factor} %" for factor in FACTORS), *COUNTS]
    return _shown(
        words.headline(comparison.finals) if comparison.series else "no runs",
        [_table(head, rows, "percent of units (Eq. 1), units by class (Eq. 3)"), *map(_line, comparison.warnings)],
        lambda: comparison_figures(comparison),
    )


@html.register
def show_ablation(ablation: Ablation) -> str:
    """Return the curves of an ablation as tables and charts."""
    parts = []
    for _, layer, score in words.removal_charts(ablation):
        lines = words.removal_table(ablation, layer, score)
        rankings = list(lines[0]["curves"]) if lines else []
        rows = [
            [
                f"{100 * line['fraction']:.3g} %",
                line["removed"],
                *(
                    words.estimate(line["curves"][name]["mean"], words.known(line["curves"][name]["ci95"]))
                    for name in rankings
                ),
            ]
            for line in lines
        ]
        parts += [
            _table(["removed", "units", *rankings], rows, f"{layer}, {words.score_name(score)}"),
            _line(words.removal_verdict(ablation, layer, score)),
        ]
    return _shown(f"{ablation.model.get('name') or 'model'}: unit ablation", parts, lambda: _removals(ablation))


def _removals(ablation: Ablation) -> Iterator[tuple[str, alt.LayerChart]]:
    """Yield the chart of each layer and score."""
    from sdmetrics.report import charts
    from sdmetrics.report.ablation_chart import removal_chart

    look: dict[str, Any] = {**charts.theme(INK), "background": "white"}
    for which in words.removal_charts(ablation):
        name = f"{which[1]}, {words.score_name(which[2])}"
        yield name, removal_chart(*which).properties(title=name, width=320, height=240, config=look)


def _percent(value: float | None, bounds: tuple[float, float] | None) -> str:
    """Return a percent with its interval."""
    return words.estimate(value, bounds, 1)


def _shown(title: str, parts: Iterable[str], drawn: Callable[[], Iterable[tuple[str, Any]]] | None = None) -> str:
    """Return a heading, its parts and charts; where charts cannot be drawn, a line says why."""
    try:
        images = [] if drawn is None else [_image(name, drawn_svg(one)) for name, one in drawn()]
    except MissingExtra as error:
        images = [_line(f"no chart: {error}")]
    return f"<div><p><b>{_text(title)}</b></p>{''.join([*parts, *images])}</div>"


def _table(head: Sequence[str], rows: Sequence[Cells], caption: str) -> str:
    """Return a table with at most `MOST_ROWS` rows."""
    left = len(rows) - MOST_ROWS
    top = "".join(f'<th scope="col">{_text(name)}</th>' for name in head)
    body = "".join(
        f'<tr><th scope="row">{_text(row[0])}</th>{"".join(f"<td>{_text(cell)}</td>" for cell in row[1:])}</tr>'
        for row in rows[:MOST_ROWS]
    )
    more = _line(f"{left} more rows are not shown") if left > 0 else ""
    return f"<table><caption>{_text(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>{more}"


def _image(name: str, svg: bytes) -> str:
    """Return a chart as an image; one that is wider than the notebook scrolls."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    return f'<div style="overflow-x:auto"><img alt="chart: {_text(name)}" src="{source}" style="max-width:none"></div>'


def _line(text: str) -> str:
    """Return a paragraph."""
    return f"<p>{_text(text)}</p>"


def _text(value: object) -> str:
    """Return text that shows as it is: markup and control characters are escaped."""
    return html_escape(printable(value))
