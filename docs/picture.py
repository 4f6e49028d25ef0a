"""Take the README's image of the demo's report: `make picture`, which needs Chromium."""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

HERE = Path(__file__).resolve().parent
REPORT = HERE.parent / "demo" / "report.html"
FLAGS = ["--no-sandbox", "--disable-gpu"]
GLOSSARY = "section[aria-labelledby=glossary]"


def main() -> None:
    """Save a screenshot of the page down to the units of the first run, without the glossary."""
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1160, "height": 900}, device_scale_factor=1.5)
        page.goto(REPORT.as_uri())
        page.locator("canvas").last.wait_for()
        page.add_style_tag(content=f"{GLOSSARY} {{ display: none }}")
        page.wait_for_timeout(1000)
        bottom = page.locator("section[aria-labelledby=units] h3").nth(1).bounding_box()
        assert bottom is not None
        size = {"x": 0, "y": 0, "width": 1160, "height": bottom["y"] - 24}
        page.screenshot(path=HERE / "report.png", clip=size, full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
