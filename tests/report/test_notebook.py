"""Results in a notebook: what it shows, that it is offline, and that names are text."""

import re
import sys
import warnings

import pytest

import sdmetrics as sd
from sdmetrics.report import charts
from tests.helpers import runs
from tests.report.test_ablation_page import ablation

HOSTILE = "<img src=x onerror='window.ran = 1'>\x1b[31m"


def compared(**of_each):
    return sd.compare({name: runs.run(name=name, seed=seed) for seed, name in enumerate(of_each or ("a", "b"))})


def check_offline(html):
    """Nothing but images that are part of it: no script, no style sheet, no address."""
    assert "<script" not in html
    assert re.findall(r'\b(?:src|href)="([^"]{0,30})', html) == ["data:image/svg+xml;base64,PHN2"] * html.count("<img")


def test_results_show_their_table_and_their_curves():
    results = runs.run()
    html = results._repr_html_()
    check_offline(html)
    assert html.count("<img") == 1
    assert html.count('<th scope="row">') == 4
    assert "<td>64</td>" in html
    assert "300 clips used, 0 skipped" in html


def test_plot_is_the_chart_of_the_report():
    results = runs.run()
    drawn = results.plot()
    assert drawn.layer[0].to_dict() == charts.curves(results.layers, charts.top(results.layers)).layer[0].to_dict()
    assert drawn.height == 260


def test_comparisons_show_their_rows_and_charts():
    trained = sd.compare({"net": {step: runs.run(seed=step) for step in (0, 10)}, "other": runs.run()})
    html = trained._repr_html_()
    check_offline(html)
    assert html.count("<img") == 3
    assert html.count('<th scope="row">') == 12


def test_ablations_show_their_curves():
    html = ablation(scores=("top1", "top5"))._repr_html_()
    check_offline(html)
    assert html.count("<img") == 2
    assert "Removing the most" in html


@pytest.mark.parametrize(
    "shown",
    [
        lambda: runs.run({HOSTILE: (0.4, 0.6)}, name=HOSTILE),
        lambda: sd.compare({HOSTILE: runs.run({HOSTILE: (0.4, 0.6)}), "b": runs.run({HOSTILE: (0.1, 0.6)})}),
    ],
)
def test_names_are_text(shown):
    html = shown()._repr_html_()
    check_offline(html)
    assert "<img src=x" not in html
    assert "\x1b" not in html
    assert "&lt;img src=x" in html


def test_without_the_extra_tables_are_shown_and_a_line_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    html = runs.run()._repr_html_()
    assert html.count('<th scope="row">') == 4
    assert "<img" not in html
    assert "no chart: vl_convert cannot be imported" in html
    assert "static-dynamic-metrics[report]" in html


def test_what_is_undefined_is_a_dash_and_what_is_long_is_counted():
    assert "<td>–</td>" in runs.run(pairs=1)._repr_html_()
    many = runs.run({f"layer{i}": (0.3, 0.6) for i in range(130)}, units=4)
    assert "30 more rows are not shown" in many._repr_html_()
    none = sd.Results({}, 0, "pearson", 0.5, {"used": 0, "looped": 0, "skipped": []})
    assert "no layers, 0 clips used" in none._repr_html_()
    with pytest.raises(sd.InputError, match="has no layers"):
        none.plot()


CELLS = (
    "from tests.helpers import runs\nimport sdmetrics as sd\nresults = runs.run()\nresults",
    "sd.compare({'a': results, 'b': runs.run(runs.APPEARANCE)})",
    "from tests.report.test_ablation_page import ablation\nablation()",
    "results.to_frame('layers')",
)


def test_a_notebook_shows_them():
    pytest.importorskip("ipykernel", reason="ipykernel is not installed")
    nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
    nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of Jupyter's own
        nbclient.NotebookClient(book, timeout=120, kernel_name="python3").execute()
    shown = ["".join(o["data"]["text/html"]) for cell in book.cells for o in cell.outputs if "data" in o]
    assert len(shown) == len(CELLS)
    assert shown[0] == runs.run()._repr_html_()
    assert [html.count("<img") for html in shown] == [1, 2, 1, 0]
    for html in shown[:3]:
        check_offline(html)
