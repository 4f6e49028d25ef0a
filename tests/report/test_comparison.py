"""The page and the figures of a comparison."""

from __future__ import annotations

import json

import pytest

from sdmetrics.comparison.compare import compare
from sdmetrics.report.comparison import write_comparison, write_comparison_figures
from tests.comparison.test_compare import DEEP
from tests.helpers import runs
from tests.report.test_browser import Opened
from tests.report.test_page import HOSTILE, Page


def training(scale=1.0):
    return {
        step: runs.run({n: (scale * d * min(1, 0.4 + step / 500), s) for n, (d, s) in DEEP.items()}, dead=3)
        for step in (0, 100, 300)
    }


@pytest.fixture(scope="module")
def compared():
    flat = runs.run({"blocks.0": (0.3, 0.8), "blocks.1": (0.4, 0.7)}, name="flat", threshold=0.6)
    return compare({"i3d": training(), "slowfast": training(0.9), HOSTILE: flat})


@pytest.fixture(scope="module")
def page(compared, tmp_path_factory):
    return write_comparison(compared, tmp_path_factory.mktemp("page") / "new" / "compare.html")


def test_the_page_holds_warnings_differences_and_numbers(compared, page):
    read = Page(page)
    for warning in compared.warnings:
        assert " ".join(warning.split()) in read.text
    assert "no intervals: which clips they saw is not known" in read.text
    assert "slowfast 3 measurements, steps 0 to 300" in read.text
    assert not [tag for tag, attributes in read.tags if tag == "img" or "onerror" in attributes]
    # Two charts per layer and training, two of layers against layers, one of the last layers.
    assert len(json.loads(read.scripts[0])["charts"]) == 2 * 2 * 2 + 3
    assert len([1 for tag, attributes in read.tags if attributes.get("class") == "curves"]) == 2 * 2 * 2 + 3


def test_the_page_opens_without_a_network_and_draws_the_numbers(browser, compared, page):
    with Opened(browser, page) as opened:
        marks = opened.locator("svg [aria-label]").evaluate_all(
            "all => all.map(mark => mark.getAttribute('aria-label'))"
        )
        row = next(row for row in compared.rows if (row["run"], row["step"], row["layer"]) == ("i3d", 100, "stage4"))
        assert any(mark.startswith(f"step 100, dynamic: {row['percent_dynamic']:.1f}") for mark in marks)
        assert any(mark.startswith("slowfast, stage4, static: ") for mark in marks)
        opened.set_viewport_size({"width": 360, "height": 700})
        assert opened.evaluate("document.documentElement.scrollWidth") <= 360


def test_figures_are_drawn_without_a_browser(compared, tmp_path):
    written = write_comparison_figures(compared, tmp_path)
    stems = ("training", "layers", "last-layers")
    assert [path.name for path in written] == [f"{stem}{suffix}" for stem in stems for suffix in (".png", ".svg")]
    assert "stage4" in (tmp_path / "training.svg").read_text()
    assert "relative depth" in (tmp_path / "layers.svg").read_text()
    (alone,) = {path.stem for path in write_comparison_figures(compare({"i3d": training()}), tmp_path / "alone")}
    assert alone == "training"
    same = compare({"a": runs.run(DEEP), "b": runs.run(DEEP, seed=1)})
    names = {path.stem for path in write_comparison_figures(same, tmp_path / "same")}
    assert names == {"layers", "last-layers"}
    assert "relative depth" not in (tmp_path / "same" / "layers.svg").read_text()


def test_undefined_numbers_are_drawn_as_gaps(tmp_path):
    nothing = runs.run({"only": (0.2, 0.9)}, pairs=1)
    comparison = compare({"a": {0: nothing, 5: runs.run({"only": (0.2, 0.9)})}, "b": nothing})
    assert "–" in Page(write_comparison(comparison, tmp_path / "compare.html")).text
    assert write_comparison_figures(comparison, tmp_path)
