"""Describe the machine that a table was measured on."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess

from sdmetrics._version import installed_version


def describe_machine(*packages: str) -> str:
    """Return processors, graphics card and versions in one line."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    versions = [f"{name} {version}" for name in packages if (version := installed_version(name))]
    return ", ".join(
        [f"{cores} cores, {platform.machine()}", graphics_card(), f"Python {platform.python_version()}", *versions]
    )


def graphics_card() -> str:
    """Return the name of the first NVIDIA card, with its driver."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return "no GPU"
    query = [tool, "--query-gpu=name,driver_version", "--format=csv,noheader"]
    answer = subprocess.run(query, capture_output=True, text=True, check=False)
    name, _, driver = (answer.stdout.splitlines() or [""])[0].partition(", ")
    return f"{name} (driver {driver})" if answer.returncode == 0 and name else "no GPU"
