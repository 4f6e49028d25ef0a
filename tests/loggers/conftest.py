"""Experiment trackers that are kept from the network."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.helpers.offline import kept_offline


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """Let trackers write to this folder only."""
    monkeypatch.chdir(tmp_path)
    with kept_offline(monkeypatch, tmp_path):
        yield tmp_path
