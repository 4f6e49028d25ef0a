"""The interactive page: one HTML file that needs no network, for one run or several side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sdmetrics._files import replacing
from sdmetrics.errors import require
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.report import words
from sdmetrics.report.html import render_page, spec

if TYPE_CHECKING:
    from sdmetrics.ablation.result import Ablation
    from sdmetrics.analysis.results import Results


def write_report(
    runs: Mapping[str, Results] | Sequence[Results],
    path: str | Path,
    ablations: Mapping[str, Ablation] | None = None,
) -> Path:
    """Write one offline HTML page that says, for one run or several, which units are static, which dynamic.

    Parameters
    ----------
    runs
        The runs by the name that the page gives them, or in a list: then by their models' names.
    path
        The file to write.
    ablations
        What removing units did to some of the runs, by the same names.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If there is no run, a run has no layer, or the file cannot be written.
    MissingExtra
        Without Altair, vl-convert or Jinja2.

    Examples
    --------
    >>> import tempfile
    >>> from sdmetrics.analysis.results import Results
    >>> layer = {"name": "stage4", "units": 1, "pairs": {"dynamic": 9, "static": 9},
    ...          "scores": {"dynamic": 0.9, "static": 0.1}, "ci95": {},
    ...          "percent": {"dynamic": 38.5, "static": 17.3, "identical": 44.2},
    ...          "counts": {"dynamic": 1, "static": 0, "joint": 0, "residual": 0, "dead": 0}}
    >>> unit = {"layer": "stage4", "unit": 0, "dynamic": 0.9, "dynamic_low": None, "dynamic_high": None,
    ...         "static": 0.1, "static_low": None, "static_high": None, "label": "dynamic"}
    >>> run = Results({"name": "net"}, 0, "pearson", 0.5, {"used": 9, "skipped": []}, [layer], [unit])
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     "net leans dynamic" in write_report([run], Path(folder) / "report.html").read_text()
    True
    """
    require("altair", extra="report")
    runs, ablations = words.named_runs(runs), ablations or {}
    page = render_page(
        "page.html",
        "page.js",
        runs=runs,
        ablations=ablations,
        threshold=next(iter(runs.values())).threshold,
        data=_data(runs, ablations),
    )
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(page.encode())
    return Path(path)


def _data(runs: Mapping[str, Results], ablations: Mapping[str, Ablation]) -> dict[str, Any]:
    """Return what the page's script reads: the charts, and the units by run, layer and column."""
    from sdmetrics.report import charts

    top = charts.top(layer for run in runs.values() for layer in run.layers)
    return {
        "svg": charts.theme("currentColor"),
        "canvas": charts.theme(charts.LIVE_INK),
        "scatter": spec(charts.live_scatter()),
        "runs": [
            {
                "curves": _curves(run.layers, top),
                "layers": _columns(run),
            }
            for run in runs.values()
        ],
        "removals": [_removal(*which) for ablation in ablations.values() for which in words.removal_charts(ablation)],
    }


def _curves(layers: list[dict[str, Any]], top: float) -> dict[str, Any]:
    """Return the layer-wise chart as wide as its place, with room for the names at the curves' ends."""
    from sdmetrics.report import charts

    room = {"left": 5, "right": 40 if len(layers) <= 6 else 62, "top": 8, "bottom": 5}
    return spec(charts.curves(layers, top).properties(width="container", height=300, padding=room))


def _removal(ablation: Ablation, layer: str, score: str) -> dict[str, Any]:
    """Return the chart of an ablation as wide as its place."""
    from sdmetrics.report.ablation_chart import removal_chart

    return spec(removal_chart(ablation, layer, score).properties(width="container", height=280))


def _columns(run: Results) -> list[dict[str, Any]]:
    """Return the units of each layer by column: a third of the bytes that rows take."""
    from sdmetrics.report import charts

    by_layer: dict[str, list[dict[str, Any]]] = {layer["name"]: [] for layer in run.layers}
    for unit in run.units:
        by_layer[unit["layer"]].append(unit)
    return [
        {
            "name": layer["name"],
            "point": charts.point_size(layer["units"]),
            "defined": words.measurable(layer),
            "unit": [unit["unit"] for unit in by_layer[layer["name"]]],
            # Scores whole, so that the browser classes them as Python does; intervals are only read.
            **{factor: [unit[factor] for unit in by_layer[layer["name"]]] for factor in FACTORS},
            **{
                f"{factor}_{end}": [_rounded(unit[f"{factor}_{end}"]) for unit in by_layer[layer["name"]]]
                for factor in FACTORS
                for end in ("low", "high")
            },
        }
        for layer in run.layers
    ]


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
