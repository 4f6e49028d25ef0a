"""The page as a reader meets it: opened in Chromium, its slider moved, its classes compared with NumPy's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sdmetrics.analysis.results import Results
from sdmetrics.report import words, write_report
from tests.helpers import runs
from tests.report.test_ablation_page import ablation

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

LONG = {f"blocks.{i // 6}.res_blocks.{i % 6}.activation": (0.2 + 0.02 * i, 0.9 - 0.02 * i) for i in range(24)}
TIE = 0.25


@pytest.fixture(scope="module")
def two() -> dict[str, Results]:
    motion = runs.run(dead=3)
    for factor, unit in (("dynamic", 0), ("static", 1)):
        motion.units[unit][factor] = TIE
    return {"motion": motion, "appearance": runs.run(runs.APPEARANCE, seed=1)}


@pytest.fixture(scope="module")
def page(browser: playwright.Browser, two: dict[str, Results], tmp_path_factory) -> Iterator[playwright.Page]:
    with Opened(browser, write_report(two, tmp_path_factory.mktemp("report") / "report.html")) as page:
        yield page


class Opened:
    """Open a page; on leaving, fail if it asked a network for anything or complained."""

    def __init__(self, browser: playwright.Browser, path: Path, **context: object) -> None:
        self.page = browser.new_page(**context)
        self.path = path
        self.complaints: list[str] = []
        self.requests: list[str] = []

    def __enter__(self) -> playwright.Page:
        self.page.on("console", lambda message: self.complaints.append(message.text))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.goto(self.path.as_uri())
        self.page.wait_for_function(
            "[...document.querySelectorAll('.counts')].every(counts => counts.textContent)"
            " && [...document.querySelectorAll('.curves')].every(box => box.querySelector('svg'))"
        )
        return self.page

    def __exit__(self, *_: object) -> None:
        self.page.close()
        assert self.complaints == []
        assert self.requests == [self.path.as_uri()]


def move(page: playwright.Page, threshold: float) -> None:
    """Move the slider and wait for the frame that draws it."""
    page.locator("#threshold").fill(str(threshold))
    page.evaluate("() => new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")


def shown(page: playwright.Page, run: int, layer: int) -> dict[str, int]:
    segments = page.locator(f"article[data-run='{run}'] .row").nth(layer).locator(".segment")
    return {s.get_attribute("data-class"): int(s.get_attribute("data-count")) for s in segments.all()}


def classed(results: Results, layer: str, threshold: float) -> dict[str, int]:
    """Class the units by Eq. 3 with NumPy."""
    rows = [unit for unit in results.units if unit["layer"] == layer]
    dynamic, static = (np.array([row[f] for row in rows], float) for f in ("dynamic", "static"))
    dead = np.isnan(dynamic) | np.isnan(static)
    d, s = dynamic > threshold, static > threshold
    sets = {"dynamic": d & ~s, "joint": d & s, "static": s & ~d, "residual": ~(d | s | dead), "dead": dead}
    return {name: int(members.sum()) for name, members in sets.items()}


def test_opens_with_the_counts_of_the_run(page: playwright.Page, two: dict[str, Results]) -> None:
    assert page.locator("h1").inner_text() == "motion leans dynamic; appearance leans static"
    for layer, row in enumerate(two["appearance"].layers):
        assert shown(page, 1, layer) == words.bar_segments(row)


def test_the_slider_classes_all_layers_as_numpy_does(page: playwright.Page, two: dict[str, Results]) -> None:
    seen = set()
    for threshold in (TIE, 0.62, 0.9):
        move(page, threshold)
        assert page.locator("#threshold-value").inner_text() == f"{threshold:.2f}"
        for run, results in enumerate(two.values()):
            for layer, row in enumerate(results.layers):
                counts = shown(page, run, layer)
                assert counts == classed(results, row["name"], threshold)
                seen.add(tuple(counts.values()))
    assert len(seen) > 12
    page.locator("#reset").click()
    playwright.expect(page.locator("#threshold-value")).to_have_text("0.50")


def test_bars_say_shares_as_the_words_of_the_report_do(page: playwright.Page) -> None:
    move(page, 0.7)
    for bar in page.locator("article .bar").all():
        for segment in bar.locator(".segment").all():
            count = int(segment.get_attribute("data-count"))
            said = segment.inner_text()
            assert said == (words.share(count, 64) if count >= 0.08 * 64 else "")
    move(page, 0.5)


def test_choosing_a_layer_shows_its_units(page: playwright.Page, two: dict[str, Results]) -> None:
    drawing = "article => article.querySelector('canvas').toDataURL()"
    article = page.locator("article").first
    before = article.evaluate(drawing)
    article.locator("input[type=radio]").nth(1).check()
    page.wait_for_function("before => document.querySelector('article canvas').toDataURL() != before", arg=before)
    n = classed(two["motion"], "stage2", 0.5)
    assert article.locator(".counts").inner_text() == (
        f"stage2 at λ = 0.50: {n['dynamic']} dynamic, {n['joint']} joint, {n['static']} static, "
        f"{n['residual'] + n['dead']} residual, of which {n['dead']} dead and not drawn."
    )


def test_curves_are_drawn_and_read_out(page: playwright.Page, two: dict[str, Results]) -> None:
    marks = page.locator(".curves").first.locator("[aria-label^='stage']")
    labels = {mark.get_attribute("aria-label") for mark in marks.all()}
    for layer in two["motion"].layers:
        for factor in ("dynamic", "static"):
            assert any(
                label.startswith(f"{layer['name']}, {factor}: {words.percent(layer['percent'][factor])}")
                for label in labels
            )


def test_removal_curves_are_drawn_and_read_out(browser: playwright.Browser, tmp_path: Path) -> None:
    made = ablation(scores=("top1", "top5"))
    path = write_report({"net": runs.run()}, tmp_path / "report.html", {"net": made})
    with Opened(browser, path) as page:
        page.wait_for_function("[...document.querySelectorAll('.removal')].every(box => box.querySelector('svg'))")
        for chart, score in zip(page.locator(".removal").all(), made.scores, strict=True):
            labels = [mark.get_attribute("aria-label") for mark in chart.locator("[aria-label*=' % removed: ']").all()]
            assert len(labels) == 4 * 3
            for point in made.curves:
                if point["score"] == score:
                    said = f"{point['ranking']}, {100 * point['fraction']:.3g} % removed: {words.score_name(score)}"
                    assert any(label.startswith(f"{said} {words.number(point['mean'])}") for label in labels)


def test_every_shape_of_run_opens_cleanly(browser: playwright.Browser, tmp_path: Path) -> None:
    hostile = "<img src=x onerror='window.ran = 1'></script><script>window.ran = 1</script>"
    shapes = {
        "many layers with long names": runs.run(LONG, units=20),
        "one unit": runs.run({"a": (0.3, 0.4)}, units=1, intervals=False),
        "all dead": runs.run(dead=64, threshold=1 / 3),
        "one pair": runs.run(pairs=1),
        hostile: runs.run({hostile: (0.4, 0.6)}, name=hostile, skipped=[(hostile, hostile)]),
    }
    with Opened(
        browser, write_report(shapes, tmp_path / "report.html"), viewport={"width": 360, "height": 800}
    ) as page:
        assert page.evaluate("window.ran") is None
        assert page.locator(".counts").all_inner_texts()[2:4] == [
            "stage4 at λ = 0.50: 0 dynamic, 0 joint, 0 static, 64 residual, of which 64 dead and not drawn.",
            "stage4: undefined, it has fewer than two pairs.",
        ]
        assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_a_threshold_between_the_sliders_steps_is_kept(browser: playwright.Browser, tmp_path: Path) -> None:
    run = runs.run(threshold=1 / 3)
    with Opened(browser, write_report([run], tmp_path / "report.html"), color_scheme="dark") as page:
        for layer, row in enumerate(run.layers):
            assert shown(page, 0, layer) == words.bar_segments(row)
