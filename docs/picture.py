"""Take the images of the pages: `make picture`, which needs Chromium.

`report.png` shows the demo's report, `inspect.png` a unit of the demo's motion model, and `inspect-real.png` one of
PhysNet, which was trained on real videos (`make real`). All clips are generated, so no image shows a third party's
video. Without PhysNet's export its image stays as it is. `pairs.png`, `pairs-with-flow.png` and `manipulated.png` show
what is compared, `styles.png` the built-in styles, and `compare.png` the demo's two models side by side; `coverage.png`
is the table of `coverage.md`.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from io import BytesIO
from pathlib import Path

import altair
import numpy as np
from PIL import Image
from playwright.sync_api import Browser, Page, sync_playwright

import sdmetrics as sd
from sdmetrics.clips.generated.world import world_clips
from sdmetrics.clips.styles.built_in import STYLES

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
REPORT = ROOT / "demo" / "report.html"
PHYSNET = ROOT / "build" / "real" / "physnet-pure.onnx"
FLAGS = ["--no-sandbox", "--disable-gpu"]
GLOSSARY = "section[aria-labelledby=glossary]"
WIDTH = 1160
CLIPS = "world:40"
SHEETS = {
    "pairs.png": "world:8 --count 2 --size 96",
    "pairs-with-flow.png": "camouflage:8 --count 2 --size 96 --with-flow",
    "manipulated.png": "world:8 --count 1 --size 96 --manipulate reverse,freeze,shuffle,appearance-free",
}
"""Arguments of `sdmetrics sample`, by image."""


def main() -> None:
    """Save all images."""
    for name, arguments in SHEETS.items():
        take_sheet(arguments.split(), HERE / name)
    take_styles(HERE / "styles.png")
    draw_coverage(HERE / "coverage.md", HERE / "coverage.png")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        take_report(browser)
        take_comparison(browser)
        take_unit(browser, ROOT / "demo" / "motion" / "model.onnx", "stage2", HERE / "inspect.png")
        if PHYSNET.is_file():
            take_unit(browser, PHYSNET, "ConvBlock5", HERE / "inspect-real.png")
        else:
            print(f"inspect-real.png stays as it is: no {PHYSNET.relative_to(ROOT)}, which `make real` exports")
        browser.close()


def take_report(browser: Browser) -> None:
    """Save the page down to the units of the first run, without the glossary."""
    page = opened(browser, REPORT, scale=1.5)
    page.locator("canvas").last.wait_for()
    page.add_style_tag(content=f"{GLOSSARY} {{ display: none }}")
    page.wait_for_timeout(1000)
    save(page, "section[aria-labelledby=units] h3 >> nth=1", HERE / "report.png")


def take_sheet(arguments: list[str], image: Path) -> None:
    """Save what `sdmetrics sample` draws."""
    subprocess.run([sys.executable, "-m", "sdmetrics", "sample", *arguments, "--out", image], check=True)
    small(Image.open(image)).save(image, optimize=True)


def take_styles(image: Path) -> None:
    """Save a generated clip as it is, and in each built-in style, one row each: every second frame."""
    frames = world_clips(1, size=96)[0].frames
    rows = [np.hstack(style(frames)[::2]) for style in (np.array, *STYLES.values())]
    small(Image.fromarray(np.vstack(rows))).save(image, optimize=True)


def draw_coverage(page: Path, image: Path) -> None:
    """Draw the table of the intervals' coverage that the benchmark wrote into a page."""
    table = page.read_text(encoding="utf-8").partition("<!-- coverage: begin -->")[2].partition("<!--")[0]
    head, _, *rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines() if line[:1] == "|"
    ]
    points = [
        {"units": row[0], "of": name, "percent": float(value)}
        for row in rows
        for name, value in zip(head[1:], row[1:], strict=True)
    ]
    percent = altair.X("percent:Q", title="coverage, percent; nominal 95", scale=altair.Scale(zero=False))
    dots = altair.Chart(altair.Data(values=points), width=420).mark_point(filled=True, size=70)
    shown = dots.encode(
        x=percent,
        y=altair.Y("units:N", title=None, sort=None, axis=altair.Axis(labelLimit=400)),
        color=altair.Color("of:N", title=None, sort=None),
        shape=altair.Shape("of:N", title=None, sort=None),
    )
    rule = altair.Chart(altair.Data(values=[{"percent": 95}])).mark_rule(color="gray").encode(x=percent)
    (rule + shown).save(image, scale_factor=1.5)
    small(Image.open(image)).save(image, optimize=True)


def take_comparison(browser: Browser) -> None:
    """Save the first charts of the page that compares the demo's models."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "compare.html")
        runs = [ROOT / "demo" / name for name in ("motion", "appearance")]
        subprocess.run([sys.executable, "-m", "sdmetrics", "compare", *runs, "--out", file], check=True)
        page = opened(browser, file, scale=1)
        page.locator("svg").first.wait_for()
        page.wait_for_timeout(1000)
        save(page, "section[aria-labelledby=differences]", HERE / "compare.png")


def take_unit(browser: Browser, model: Path, layer: str, image: Path) -> None:
    """Save the most typical dynamic unit of a layer, with its two most extreme clips of 40 generated ones."""
    with tempfile.TemporaryDirectory() as run:
        sd.analyze(sd.open_model(model, layers=[layer], provider="cpu"), CLIPS, out=run, keep_responses=True)
        sd.inspect(run, model=model, clips=CLIPS, typical=1, exemplars=1)
        page = opened(browser, Path(run, "inspection.html"), scale=1)
        page.locator("details.unit[open] .responses svg").wait_for()
        save(page, "details.unit >> nth=1", image)


def opened(browser: Browser, path: Path, scale: float) -> Page:
    """Open a page."""
    page = browser.new_page(viewport={"width": WIDTH, "height": 900}, device_scale_factor=scale)
    page.goto(path.as_uri())
    return page


def save(page: Page, end: str, image: Path) -> None:
    """Save what is above an element."""
    bottom = page.locator(end).bounding_box()
    assert bottom is not None
    shot = page.screenshot(clip={"x": 0, "y": 0, "width": WIDTH, "height": bottom["y"] - 16}, full_page=True)
    small(Image.open(BytesIO(shot))).save(image, optimize=True)


def small(image: Image.Image) -> Image.Image:
    """Return the image with at most 256 colours."""
    return image.convert("RGB").quantize(256)


if __name__ == "__main__":
    main()
