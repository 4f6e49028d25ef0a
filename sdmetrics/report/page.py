"""The interactive page: one HTML file that works offline, for one or more runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sdmetrics._files import replacing
from sdmetrics.errors import require
from sdmetrics.metrics.classes import FACTORS
from sdmetrics.report import words
from sdmetrics.report.html import render_page, spec
from sdmetrics.report.inspection import FILE_NAME

if TYPE_CHECKING:
    from sdmetrics.ablation.result import Ablation
    from sdmetrics.analysis.results import Results


def write_report(
    runs: Mapping[str, Results] | Sequence[Results],
    path: str | Path,
    ablations: Mapping[str, Ablation] | None = None,
) -> Path:
    """Write an HTML page that works offline: the static and dynamic bias of the layers and units of one or more runs.

    Parameters
    ----------
    runs
        The runs by name. Runs in a list get the names of their models.
    path
        The file to write.
    ablations
        The ablations of some of the runs, by the same names.

    Returns
    -------
    Path
        `path`.

    Raises
    ------
    InputError
        If there are no runs, a run has no layers, or the file cannot be written.
    MissingExtra
        Without Altair, vl-convert or Jinja2.

    Examples
    --------
    >>> import tempfile
    >>> from sdmetrics.report.example import example_run
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     "net leans dynamic" in write_report([example_run()], Path(folder) / "report.html").read_text()
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
        inspections=_inspections(runs, Path(path)),
        data=_data(runs, ablations),
    )
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(page.encode())
    return Path(path)


def _inspections(runs: Mapping[str, Results], page: Path) -> dict[str, str]:
    """Return the addresses of the runs' pages of units, as seen from the page, where there are any of these results."""
    kept = {name: run.folder / FILE_NAME for name, run in runs.items() if run.folder is not None}
    return {
        name: quote(Path(os.path.relpath(path.resolve(), page.resolve().parent)).as_posix())
        for name, path in kept.items()
        if path.is_file() and _is_of_these_results(path)
    }


def _is_of_these_results(page: Path) -> bool:
    """Return whether a page was written after the results beside it: not before the run was analysed again."""
    results = page.with_name("results.json")
    return not results.exists() or page.stat().st_mtime_ns >= results.stat().st_mtime_ns


def _data(runs: Mapping[str, Results], ablations: Mapping[str, Ablation]) -> dict[str, Any]:
    """Return the data for the page's script: the charts, and the units by run, layer and column."""
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
    """Return the layer-wise chart at the width of its container, with space for the names at the ends of the curves."""
    from sdmetrics.report import charts

    padding = {"left": 5, "right": 40 if len(layers) <= 6 else 62, "top": 8, "bottom": 5}
    return spec(charts.curves(layers, top).properties(width="container", height=300, padding=padding))


def _removal(ablation: Ablation, layer: str, score: str) -> dict[str, Any]:
    """Return the chart of an ablation at the width of its container."""
    from sdmetrics.report.ablation_chart import removal_chart

    return spec(removal_chart(ablation, layer, score).properties(width="container", height=280))


def _columns(run: Results) -> list[dict[str, Any]]:
    """Return the units of each layer by column, which takes a third of the bytes of rows."""
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
            # Scores unrounded, so that the browser classifies them as Python does; intervals are only displayed.
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
    """Round to the three digits that tooltips need."""
    return None if value is None else round(value, 3)
