"""Files that are made once for all processes that run the tests."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

FOLDER = "SDMETRICS_TESTS_MADE"
"""The variable that names their folder; see conftest.py."""


def made(name: str, make: Callable[[Path], Path]) -> bytes:
    """Return the content of a file; `make` writes it to a path unless a process has made it."""
    kept = Path(os.environ[FOLDER]) / name
    if not kept.exists():
        kept.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=kept.parent) as folder:
            make(Path(folder) / kept.name).replace(kept)
    return kept.read_bytes()
