"""The built site as a reader meets it, in Chromium: navigation, search, equations, figures, code, and nobody else."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")

ROOT = Path(__file__).resolve().parents[2]
SITE = ROOT / "build" / "site"
LOADED = re.compile(
    r"""<(?:script|img|iframe|source|video|audio|embed)\b[^>]*\bsrc=["']?(?:https?:)?//"""
    r"""|<link\b(?![^>]*rel=["']?canonical)[^>]*\bhref=["']?(?:https?:)?//"""
    r"""|@import\s+["']?(?:url\(["']?)?(?:https?:)?//|url\(["']?(?:https?:)?//""",
)
"""What a browser would fetch from another host as it opens a page; links that a reader follows are none of it."""


class Handler(SimpleHTTPRequestHandler):
    """Serves the site without a log; a browser that asks for an icon gets an empty answer."""

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    if not (SITE / "docs" / "index.html").is_file():
        pytest.skip("the site is not built; `make docs` builds and tests it")
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Handler, directory=SITE)) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()
        thread.join()


@pytest.fixture
def page(browser: playwright.Browser, address: str) -> Iterator[playwright.Page]:
    """A page at the start of the site; afterwards fails if anything complained or another host was asked."""
    complaints: list[str] = []
    requests: list[str] = []
    opened = browser.new_page(viewport={"width": 1300, "height": 900})
    opened.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
    opened.on("pageerror", lambda error: complaints.append(str(error)))
    opened.on("request", lambda request: requests.append(request.url))
    opened.goto(address)
    opened.wait_for_url("**/docs/index.html")  # to which the start leads
    yield opened
    opened.close()
    assert complaints == []
    assert requests
    assert [url for url in requests if not url.startswith((address, "data:", "blob:"))] == []


def heading(page: playwright.Page) -> str:
    return page.locator("article h1").first.inner_text().strip("¶# \n")


def test_the_start_leads_to_every_part(page: playwright.Page) -> None:
    assert heading(page) == "Overview"
    navigation = page.locator(".sidebar-tree")
    for part, name in {"Start": "Install", "Your own model": "PyTorch models", "Reference": "Command line"}.items():
        assert navigation.get_by_text(part, exact=True).first.is_visible()
        assert navigation.get_by_role("link", name=name, exact=True).is_visible()
    navigation.get_by_role("link", name="Clips", exact=True).click()
    page.wait_for_url("**/docs/clips.html")
    assert heading(page) == "Clips"


def test_the_search_finds_words_and_names(page: playwright.Page, address: str) -> None:
    for query, target in {"jackknife": "", "layer_bias": "sdmetrics.layer_bias"}.items():
        page.goto(address + "docs/index.html")
        page.locator("input[name=q]").first.fill(query)
        page.keyboard.press("Enter")
        page.locator("#search-results li a").first.wait_for()
        links = page.locator("#search-results li a")
        assert any(target in (link.get_attribute("href") or "") for link in links.all())
    links.first.click()
    page.locator("article h1").first.wait_for()


def test_equations_are_drawn(page: playwright.Page, address: str) -> None:
    for path in ("docs/metric.html", "docs/reference/generated/sdmetrics.layer_bias.html"):
        page.goto(address + path)
        equation = page.locator("math[display=block]").last
        box = equation.bounding_box()
        assert box is not None
        assert box["width"] > 60
        assert box["height"] > 25, "a fraction has two lines"
        assert equation.locator("mfrac").count()
        assert "\\" not in page.locator("article").inner_text().partition("r = ")[2][:80]


def test_figures_are_shown(page: playwright.Page, address: str) -> None:
    page.goto(address + "docs/inspect.html")
    images = page.locator("article img")
    images.first.wait_for()
    for image in images.all():
        image.scroll_into_view_if_needed()
        assert image.evaluate("async image => { await image.decode(); return image.naturalWidth }") > 500
        assert image.get_attribute("alt")


def test_code_is_shown_in_colours(page: playwright.Page, address: str) -> None:
    page.goto(address + "docs/metric.html")
    code = page.locator(".highlight-python pre").first
    assert "sd.PairMoments.from_arrays(view, other_style)" in code.inner_text()
    colours = code.evaluate("code => [...code.querySelectorAll('span')].map(span => getComputedStyle(span).color)")
    assert len(set(colours)) >= 3


def test_the_reference_shows_commands_and_signatures(page: playwright.Page, address: str) -> None:
    page.goto(address + "docs/reference/commands.html")
    titles = page.locator("article h2").all_inner_texts()
    for name in ("analyze", "check", "inspect", "style train"):
        assert any(f"sdmetrics {name}" in title for title in [*titles, *page.locator("article h3").all_inner_texts()])
    page.goto(address + "docs/reference/api.html")
    page.locator("article a", has_text="removal_mask").first.click()
    page.wait_for_url("**/sdmetrics.removal_mask.html**")
    assert "fraction" in page.locator("dt.sig").first.inner_text()


def test_every_tutorial_shows_what_its_cells_print(page: playwright.Page, address: str) -> None:
    for source in sorted((ROOT / "docs" / "tutorials").glob("*.md")):
        page.goto(f"{address}docs/tutorials/{source.stem}.html")
        assert page.locator(".cell_input pre").count(), source.name
        assert page.locator(".cell_output").count(), source.name
        if source.stem == "1-checkpoint-to-report":  # what a command prints keeps its lines
            printed = "\n".join(page.locator(".cell_output pre").all_inner_texts())
            assert "\nreport: run/report.html\n" in f"\n{printed}\n"


@pytest.mark.usefixtures("address")
def test_no_page_loads_anything_from_another_host() -> None:
    """Of all pages, not only of those that were opened."""
    pages = [path for path in SITE.rglob("*") if path.suffix in (".html", ".css")]
    assert len(pages) > 50
    for path in pages:
        text = re.sub(r"<pre>.*?</pre>", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        assert not (found := LOADED.search(text)), f"{path.relative_to(SITE)}: {found}"
