"""The site leaves nothing out: every page is in the navigation, every public name in the reference."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

import sdmetrics
import sdmetrics.report

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
NAVIGATION = (DOCS / "site" / "navigation.md").read_text(encoding="utf-8")
REFERENCE = (DOCS / "reference" / "api.rst").read_text(encoding="utf-8")
PRIVATE_RUNNERS = {"batch_size", "cards", "cut", "opened", "tensors", "torch_precision", "trunk"}
"""What runners use; of its modules the others are documented."""


def navigated() -> list[str]:
    """Return the paths of the navigation, relative to docs/, without their suffix."""
    entries = re.findall(r"^(?!```|:)(?:.* <(.*)>|(\S+))$", NAVIGATION, re.MULTILINE)
    return [target or name for target, name in entries]


def referred(module: str) -> set[str]:
    """Return the names that the reference lists for a module."""
    found, current = set(), ""
    for line in REFERENCE.splitlines():
        if line.startswith(".. currentmodule:: "):
            current = line.split()[-1]
        elif re.fullmatch(r"   [\w.]+", line):
            found.add(f"{current}.{line.strip()}")
    return {name.removeprefix(f"{module}.") for name in found if name.startswith(f"{module}.")}


@pytest.mark.parametrize("page", sorted(DOCS.glob("*.md")), ids=lambda page: page.name)
def test_every_page_is_in_the_navigation(page):
    expected = "self" if page.name == "index.md" else page.stem
    assert navigated().count(expected) == 1


def test_all_that_the_navigation_names_exists():
    for name in navigated():
        if name != "self":
            folder, _, pattern = f"{DOCS}/{name}".rpartition("/")
            assert {path.suffix for path in Path(folder).glob(f"{pattern}.*")} & {".md", ".rst"}, name


@pytest.mark.parametrize("module", ["sdmetrics", "sdmetrics.torch", "sdmetrics.report", "sdmetrics.testing"])
def test_every_public_name_is_in_the_reference(module):
    if module == "sdmetrics.torch":
        pytest.importorskip("torch", reason="torch is not installed: the reference of sdmetrics.torch is not compared")
    face = importlib.import_module(module)
    public = {*face.__all__, *getattr(face, "_MODULES", ())} - {"__version__"}
    assert public <= referred(module) | (referred("sdmetrics") if module == "sdmetrics.report" else set())


def test_every_name_that_pages_import_is_in_the_reference():
    known = {f"sdmetrics.{name}" for name in referred("sdmetrics")}
    for page in [ROOT / "README.md", *DOCS.glob("*.md"), *DOCS.glob("tutorials/*.md")]:
        for module, names in re.findall(
            r"^from (sdmetrics[\w.]*) import ([\w, ]+)", page.read_text("utf-8"), re.MULTILINE
        ):
            for name in names.replace(" ", "").split(","):
                assert {module, f"{module}.{name}"} & known, f"{page.name}: {module}.{name}"


def test_every_public_module_of_exporters_and_runners_is_in_the_reference():
    exporters = {path.stem for path in (ROOT / "exporters").glob("*.py")} - {"__init__"}
    runners = {path.stem for path in (ROOT / "runners").glob("*.py")} - {"__init__"} - PRIVATE_RUNNERS
    assert exporters == referred("sdmetrics.exporters")
    assert runners == referred("sdmetrics.runners")


def test_the_metric_shows_its_equations():
    for name in ("layer_bias", "unit_bias", "PairMoments"):
        assert ".. math::" in getattr(sdmetrics, name).__doc__, name
