"""Names that steer a terminal, end a script, or mean something to the charts: pages and figures show them as text."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest

from sdmetrics._text import HIDDEN, printable, printable_values
from sdmetrics.comparison.compare import compare
from sdmetrics.report import write_figures, write_report
from sdmetrics.report.comparison import write_comparison, write_comparison_figures
from sdmetrics.report.contact_sheet import SheetRow, contact_sheet
from tests.helpers import runs

CONTROLS = "".join(
    map(chr, [*range(32), *range(127, 160), 0xAD, 0x200E, 0x202E, 0x2066, 0x2028, 0x2029, 0xFEFF, 0xFFFE, 0xFFFF])
)
NAMES = (
    f"all{CONTROLS}",
    "\x1b[31mred",
    "lone\ud800",
    "right\u202eleft",
    "two\nlines",
    "a.b[0]",
    "a\\.b",
    "datum['x']",
    "'\"`",
    "exp[lr=0.1]",
    "</script><script>alert(1)</script>",
    "<!-- {{ 7 * 7 }}",
)
LONG = "long" * 2_500


def hidden(text: str) -> set[str]:
    """Return the control, format and surrogate characters of a text, but for line breaks."""
    return {sign for sign in text if unicodedata.category(sign) in HIDDEN or sign == "\uffff"} - {"\n"}


def svgs(figures: list[Path]) -> list[str]:
    """Return the texts of each SVG among the figures."""
    return [" ".join(ET.parse(path).getroot().itertext()) for path in figures if path.suffix == ".svg"]


@pytest.fixture(scope="module")
def run():
    layers = dict.fromkeys(NAMES, (0.4, 0.6))
    made = runs.run(layers, name=NAMES[0], units=2, skipped=[(name, name) for name in NAMES])
    made.settings |= {name: name for name in NAMES}
    return made


@pytest.fixture
def two_steps():
    """A training whose name and layer are hostile."""
    one = runs.run({NAMES[0]: (0.4, 0.6)}, units=2)
    return compare({NAMES[0]: {0: one, 10: one}, NAMES[1]: one})


def test_pages_show_names_as_text(run, two_steps, tmp_path: Path):
    pages = [
        write_report({NAMES[0]: run}, tmp_path / "report.html"),
        write_comparison(two_steps, tmp_path / "comparison.html"),
    ]
    for page in pages:
        text = page.read_text(encoding="utf-8")
        data = re.search(r'<script type="application/json"[^>]*>(.*?)</script>', text, re.DOTALL)
        assert data
        drawn = json.loads(data[1])
        assert drawn == printable_values(drawn)
        shown = re.sub(r"<script.*?</script>", "", text, flags=re.DOTALL)
        assert not hidden(shown)
        assert r"all\x00\x01" in shown
        assert "<script>alert" not in text


def test_figures_show_names_as_text(run, two_steps, tmp_path: Path):
    """A control character that reached the renderer would abort the process."""
    of_run = svgs(write_figures({LONG: run}, tmp_path))
    assert not hidden("".join(of_run))
    for name, text in itertools.product(NAMES, of_run):
        assert printable(name)[:20] in text
    for text in svgs(write_comparison_figures(two_steps, tmp_path)):
        assert not hidden(text)
        assert r"all\x00\x01" in text


def test_a_sheet_of_pairs_shows_names_as_text(tmp_path: Path):
    frames = np.zeros((2, 16, 16, 3), np.uint8)
    rows = [SheetRow(name, [(name, frames)] * 3) for name in NAMES]
    assert contact_sheet(rows, tmp_path / "pairs.png").stat().st_size > 1_000
