"""`doctor`: a check of the installation: versions, what loads, and fixes for what is broken."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

import typer

from sdmetrics._version import __version__, installed_version
from sdmetrics.cli.app import app, console
from sdmetrics.cli.console.tables import plain_table
from sdmetrics.errors import MissingExtra

RUNTIMES = ("onnxruntime", "onnxruntime-gpu")
PACKAGES = (
    "numpy",
    "numba",
    "onnx",
    "av",
    "opencv-python-headless",
    "altair",
    "vl-convert-python",
    "torch",
    "onnxscript",
    "distributed",
)


@app.command()
def doctor() -> None:
    """Check the installation: list dependencies, test that each one loads, suggest fixes.

    Exits with status 1 if anything is broken.
    """
    findings = diagnose()
    console.print(plain_table("sdmetrics doctor", ("what", "found"), [(f.what, f.found) for f in findings]))
    problems = [f for f in findings if f.remedy]
    for finding in problems:
        console.print(f"{finding.what}: {finding.remedy}", style="red", soft_wrap=True)
    if problems:
        raise typer.Exit(1)


@dataclass(frozen=True)
class Finding:
    """One line of the diagnosis; `remedy` is empty if nothing is wrong."""

    what: str
    found: str
    remedy: str = ""


def diagnose() -> list[Finding]:
    """Return the state of the installation, problems with their remedies.

    Examples
    --------
    >>> diagnose()[0].what
    'sdmetrics'
    """
    return [
        _distribution(),
        Finding("Python", platform.python_version()),
        _runtime(),
        *_providers(),
        *_packages(),
        _cores(),
    ]


def _distribution() -> Finding:
    """Look for the unrelated distribution with the same import name."""
    other = installed_version("sdmetrics")
    remedy = (
        "pip uninstall sdmetrics, then pip install --force-reinstall --no-deps static-dynamic-metrics" if other else ""
    )
    own = f"{__version__} (static-dynamic-metrics)"
    return Finding("sdmetrics", f"{own}, and the unrelated distribution sdmetrics {other}" if other else own, remedy)


def _runtime() -> Finding:
    """Look for exactly one ONNX Runtime."""
    installed = {name: version for name in RUNTIMES if (version := installed_version(name))}
    text = ", ".join(f"{name} {version}" for name, version in installed.items()) or "none"
    remedy = ""
    if not installed:
        remedy = "pip install 'static-dynamic-metrics[cpu]', or [gpu] with an NVIDIA GPU"
    elif len(installed) > 1:
        remedy = f"they overwrite each other: pip uninstall {' '.join(RUNTIMES)}, then install one of [cpu] and [gpu]"
    return Finding("ONNX Runtime", text, remedy)


def _providers() -> list[Finding]:
    """Load each provider; one that is listed as available need not load."""
    try:
        from sdmetrics.runners.onnxruntime import CUDA, available_providers, loadable_providers

        loading = loadable_providers()
    except MissingExtra:
        return []
    failing = [name for name in available_providers() if name not in loading]
    remedy = ""
    if CUDA in failing:
        remedy = "CUDA does not load: install the NVIDIA driver, CUDA and cuDNN that this onnxruntime-gpu was built for"
    return [
        Finding("providers that load", ", ".join(loading), remedy),
        Finding("providers that are listed but do not load", ", ".join(failing) or "none"),
    ]


def _packages() -> list[Finding]:
    """Return the versions of the packages that optional components use."""
    return [Finding(name, installed_version(name) or "not installed") for name in PACKAGES]


def _cores() -> Finding:
    """Return the number of cores that this process may use."""
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return Finding("cores for this process", str(affinity))
