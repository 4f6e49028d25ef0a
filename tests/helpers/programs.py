"""Programs that tests run."""

import shutil
import sys
from pathlib import Path

import pytest


def program(name: str) -> str:
    """Return the path of a program of this environment, else of this machine; skip the test without it."""
    path = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    if path is None:
        pytest.skip(f"{name} is not installed")
    return path
