"""The folders of a training's measurements: `step-000300` is the run measured after 300 steps."""

from __future__ import annotations

import re
from pathlib import Path

_STEP = re.compile(r"step-(\d+)")


def step_folder(folder: Path, step: int) -> Path:
    """Return the path in `folder` of the measurement of a step.

    Examples
    --------
    >>> step_folder(Path("run"), 300).name
    'step-000300'
    """
    return folder / f"step-{step:06d}"


def step_folders(folder: Path) -> dict[int, Path]:
    """Return the finished measurements in `folder` by step, in order. Without such a folder there are none.

    Examples
    --------
    >>> step_folders(Path("no such folder"))
    {}
    """
    found = {path: _STEP.fullmatch(path.name) for path in folder.glob("step-*") if (path / "results.json").exists()}
    return dict(sorted((int(name[1]), path) for path, name in found.items() if name))
