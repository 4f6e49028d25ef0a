"""The scripts of a page are bundled once for all processes, where Python may keep what it compiled."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from sdmetrics.report import renderer

SCRIPTS = 'let vega = "×";\n'


@pytest.fixture
def bundled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The versions whose scripts were bundled; what is kept goes to `tmp_path`."""
    versions: list[str] = []
    vega = SimpleNamespace(__version__="1.0", javascript_bundle=lambda: versions.append(vega.__version__) or SCRIPTS)
    monkeypatch.setattr(renderer, "chart_renderer", lambda: vega)
    monkeypatch.setattr(renderer, "cache_from_source", lambda _file: str(tmp_path / "kept" / "renderer.pyc"))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    return versions


def test_they_are_bundled_once_a_version(bundled, monkeypatch):
    assert [renderer.vega_scripts() for _ in range(2)] == [SCRIPTS] * 2
    assert bundled == ["1.0"]
    monkeypatch.setattr(renderer.chart_renderer(), "__version__", "1.1")
    assert renderer.vega_scripts() == SCRIPTS
    assert bundled == ["1.0", "1.1"]


def test_where_python_keeps_nothing_neither_do_they(bundled, monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    assert [renderer.vega_scripts() for _ in range(2)] == [SCRIPTS] * 2
    assert bundled == ["1.0"] * 2
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written_they_are_bundled_each_time(bundled, tmp_path):
    (tmp_path / "kept").write_text("not a folder")
    assert [renderer.vega_scripts() for _ in range(2)] == [SCRIPTS] * 2
    assert bundled == ["1.0"] * 2
