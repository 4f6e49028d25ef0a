"""The page of units in Chromium: its slider, its cards and its exemplars."""

import shutil

import pytest

import sdmetrics as sd
from sdmetrics.demo import demo_model
from sdmetrics.report.words import rounded

pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")


@pytest.fixture(scope="module")
def opened(browser, tmp_path_factory):
    run = tmp_path_factory.mktemp("runs") / "motion"
    run.mkdir()
    with demo_model("motion") as path:
        shutil.copy(path, run / "model.onnx")
    sd.analyze(run / "model.onnx", "world:60", out=run, keep_responses=True)
    seen = sd.inspect(run)
    page, complaints, requests = browser.new_page(), [], []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: requests.append(request.url))
    page.goto((run / "inspection.html").as_uri())
    page.wait_for_selector("details.unit[open] .responses svg")
    yield page, seen
    page.close()
    assert complaints == []
    assert {url.partition(":")[0] for url in requests} <= {"file", "data"}
    assert sum(url.startswith("file") for url in requests) == 1


def test_the_slider_classes_the_units_shown(opened):
    page, seen = opened
    for threshold in (0.5, 0.3, 0.9):
        page.locator("#threshold").fill(str(threshold))
        expected = []
        for unit in seen.units:
            d, s = unit.dynamic > threshold, unit.static > threshold
            expected.append("joint" if d and s else "dynamic" if d else "static" if s else "residual")
        assert page.locator(".badge").all_inner_texts() == expected
        said = page.locator(".counts").inner_text()
        assert f"at λ = {threshold:.2f}: {expected.count('dynamic')} dynamic" in said
    page.locator("#reset").click()
    assert page.locator("#threshold-value").inner_text() == "0.50"


def test_a_unit_opens_with_the_keyboard_and_shows_its_exemplars(opened):
    page, seen = opened
    card, unit = page.locator("details.unit").nth(1), seen.units[1]
    assert card.get_attribute("open") is None
    card.locator("summary").focus()
    page.keyboard.press("Enter")
    card.locator(".responses svg").wait_for()
    for end, exemplars in (("Highest", unit.highest), ("Lowest", unit.lowest)):
        part = card.locator(".ends > div", has=page.locator("h3", has_text=f"{end} responses"))
        names = [text.split("\n")[0].split(" ")[0] for text in part.locator("h4").all_inner_texts()]
        assert names == [one.clip for one in exemplars]
        said = part.locator("figcaption b").all_inner_texts()
        assert said == [rounded(view.response) for one in exemplars for view in one.views]
    images = card.locator("img").all()
    assert len(images) == 6 * 3 * 2
    assert all(image.evaluate("image => image.complete && image.naturalWidth > 0") for image in images)
    assert all(image.get_attribute("alt") for image in images)
    assert card.locator(".responses path[d]").count() > 2 * 60


def test_what_is_laid_over_the_frames_can_be_hidden(opened):
    page, _ = opened
    where = page.locator("details.unit[open] .where").first
    beneath = page.locator("details.unit[open] .frames img:not(.where)").first
    assert where.is_visible()
    assert beneath.evaluate("image => getComputedStyle(image).filter") == "grayscale(1)"
    page.locator("#overlay").uncheck()
    assert where.is_hidden()
    assert beneath.evaluate("image => getComputedStyle(image).filter") == "none"
    page.locator("#overlay").check()
    assert where.is_visible()


def test_it_fits_a_narrow_screen(opened):
    page, _ = opened
    page.set_viewport_size({"width": 360, "height": 800})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
